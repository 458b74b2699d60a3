"""The fields of KubeRay's resources that our manifests use, after its API reference (ray.io/v1).

No package ships the schema of KubeRay. Pods, which are most of a manifest, are Kubernetes' own and
are checked against its schema.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """An object without fields that are not written down here."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Part):
    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=47)


class HeadGroup(Part):
    rayStartParams: dict[str, str]
    template: dict[str, Any]


class WorkerGroup(HeadGroup):
    groupName: str
    replicas: int = Field(ge=0)
    minReplicas: int = Field(ge=0)
    maxReplicas: int = Field(ge=0)


class AuthOptions(Part):
    mode: Literal["token", "disabled"]
    secretName: str


class AutoscalerOptions(Part):
    idleTimeoutSeconds: int


class RayCluster(Part):
    rayVersion: str
    authOptions: AuthOptions
    enableInTreeAutoscaling: bool = False
    autoscalerOptions: AutoscalerOptions | None = None
    headGroupSpec: HeadGroup
    workerGroupSpecs: list[WorkerGroup]


class UpgradeStrategy(Part):
    type: Literal["NewCluster", "NewClusterWithIncrementalUpgrade", "None"]


class RayServiceSpec(Part):
    upgradeStrategy: UpgradeStrategy
    serveConfigV2: str
    rayClusterConfig: RayCluster


class RayJobSpec(Part):
    entrypoint: str
    shutdownAfterJobFinishes: bool
    ttlSecondsAfterFinished: int = Field(ge=0)
    rayClusterSpec: RayCluster


class RayService(Part):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayService"]
    metadata: Metadata
    spec: RayServiceSpec

    @property
    def cluster(self) -> RayCluster:
        return self.spec.rayClusterConfig


class RayJob(Part):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: RayJobSpec

    @property
    def cluster(self) -> RayCluster:
        return self.spec.rayClusterSpec
