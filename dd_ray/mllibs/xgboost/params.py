"""`parameters.mllib` of the `xgboost` mllib, under DeepDetect's names."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from dd_ray.errors import BadParameter
from dd_ray.mllibs.spec import MLLibParams
from dd_ray.params import Int, Params
from dd_ray.repository import Repository

OBJECTIVES = {
    "multi:softprob": "multi:softprob",
    "binary:logistic": "binary:logistic",
    "reg:linear": "reg:squarederror",  # the name before XGBoost 0.90
    "reg:logistic": "reg:logistic",
    "reg:squarederror": "reg:squarederror",
    "reg:squaredlogerror": "reg:squaredlogerror",
    "reg:pseudohubererror": "reg:pseudohubererror",
    "reg:absoluteerror": "reg:absoluteerror",
    "reg:gamma": "reg:gamma",
    "reg:tweedie": "reg:tweedie",
    "count:poisson": "count:poisson",
}
"""Objectives by the name a client may use, and XGBoost's name."""

CLASSIFICATION = ("multi:softprob", "binary:logistic")


class BoosterParams(Params):
    """`parameters.mllib.booster_params`."""

    model_config = ConfigDict(populate_by_name=True)

    where: ClassVar[str] = "parameters.mllib.booster_params"

    eta: float = Field(0.3, ge=0, description="Step size shrinkage")
    gamma: float = Field(0.0, ge=0, description="Minimum loss reduction of a split")
    max_depth: Int = Field(6, ge=0, description="Maximum depth of a tree, 0 is no limit")
    min_child_weight: float = Field(1, ge=0, description="Minimum sum of instance weight")
    max_delta_step: float = Field(0, ge=0, description="Maximum delta step")
    subsample: float = Field(1.0, gt=0, le=1, description="Subsample ratio of training examples")
    colsample: float = Field(
        1.0, gt=0, le=1, description="Subsample ratio of columns when constructing each tree"
    )
    lambda_: float = Field(1.0, ge=0, alias="lambda", description="L2 regularization of weights")
    alpha: float = Field(0.0, ge=0, description="L1 regularization of weights")
    lambda_bias: float = Field(
        0.0, description="L2 regularization of the bias; gone from XGBoost, accepted and ignored"
    )
    tree_method: Literal["auto", "exact", "approx", "hist"] = Field(
        "auto", description="Tree construction algorithm"
    )
    scale_pos_weight: float = Field(
        1.0, ge=0, description="Balance of positive and negative weights"
    )
    sample_type: Literal["uniform", "weighted"] = Field(
        "uniform", description="How trees to drop are chosen (`dart`)"
    )
    normalize_type: Literal["tree", "forest"] = Field(
        "tree", description="How new trees are weighted (`dart`)"
    )
    rate_drop: float = Field(0.0, ge=0, le=1, description="Dropout rate of trees (`dart`)")
    one_drop: bool = Field(False, description="Whether at least one tree is dropped (`dart`)")
    skip_drop: float = Field(0.0, ge=0, le=1, description="Probability of no dropout (`dart`)")

    def for_booster(self, booster: str) -> dict[str, Any]:
        """The parameters that this booster knows, under XGBoost's names."""
        linear = {"eta": self.eta, "lambda": self.lambda_, "alpha": self.alpha}
        if booster == "gblinear":
            return linear
        tree = linear | {
            "gamma": self.gamma,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_child_weight,
            "max_delta_step": self.max_delta_step,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample,
            "tree_method": self.tree_method,
        }
        if self.scale_pos_weight != 1:  # XGBoost warns of it where there are more than two classes
            tree["scale_pos_weight"] = self.scale_pos_weight
        if booster == "gbtree":
            return tree
        return tree | {
            "sample_type": self.sample_type,
            "normalize_type": self.normalize_type,
            "rate_drop": self.rate_drop,
            "one_drop": self.one_drop,
            "skip_drop": self.skip_drop,
        }


class XGBoostParams(MLLibParams):
    """`parameters.mllib` of `xgboost`."""

    nclasses: Int = Field(0, ge=0, description="Number of output classes (classification)")
    ntargets: Int = Field(
        0, ge=0, le=1, description="Number of regression targets (XGBoost supports 1)"
    )
    regression: bool = Field(False, description="Whether to train a regressor")
    gpu: bool = Field(False, description="Whether to use a GPU; on a CPU where there is none")
    gpuid: Int | list[Int] = Field(
        0, description="GPU id: an int for one, -1 for all, an array to choose several"
    )
    objective: str = Field(
        "",
        description="Objective function, among multi:softprob, binary:logistic, reg:linear,"
        " reg:logistic and XGBoost's other reg:* and count:poisson; default multi:softprob,"
        " reg:linear for a regressor",
    )
    booster: Literal["gbtree", "gblinear", "dart"] = Field("gbtree", description="Booster")
    num_feature: Int = Field(
        0, ge=0, description="Maximum dimension of the feature; 0 takes it from the data"
    )
    eval_metric: str = Field(
        "",
        description="Evaluation metric internal to XGBoost, reported under its own name at each"
        " test; default none beside parameters.output.measure",
    )
    base_score: float = Field(0.5, description="Initial prediction score, global bias")
    seed: Int = Field(0, description="Random number seed")
    iterations: Int = Field(10, ge=1, description="Number of boosting iterations")
    test_interval: Int = Field(1, ge=1, description="Iterations between testing passes")
    save_period: Int = Field(
        0, ge=0, description="Iterations between two saves of the model; 0 saves at the end only"
    )
    booster_params: BoosterParams = Field(
        default_factory=lambda: BoosterParams.model_validate({}),
        description="Parameters of the booster",
    )

    @property
    def mltype(self) -> str:
        return "regression" if self.regression else "classification"

    @property
    def xgboost_objective(self) -> str:
        """XGBoost's name of the objective; raises BadParameter."""
        name = self.objective or ("reg:linear" if self.regression else "multi:softprob")
        if name == "multi:softmax":
            raise BadParameter(
                "parameters.mllib.objective: use multi:softprob objective instead of multi:softmax"
            )
        if name not in OBJECTIVES:
            raise BadParameter(
                f"parameters.mllib.objective: {name!r}, expected one of {', '.join(OBJECTIVES)}"
            )
        return OBJECTIVES[name]

    @property
    def classes(self) -> int | None:
        """How many classes labels may have; None for a regression."""
        if self.xgboost_objective not in CLASSIFICATION:
            return None
        return self.nclasses

    @property
    def uses_bins(self) -> bool:
        """Whether trees are grown on quantile bins that are made once."""
        return self.booster != "gblinear" and self.booster_params.tree_method in ("auto", "hist")

    @property
    def gpus(self) -> int:
        if not (self.gpu or self.resources.num_gpus):
            return 0
        if isinstance(self.gpuid, list):
            return len(self.gpuid)
        return -1 if self.gpuid < 0 else 1

    def check_creation(self, repository: Repository, *, type: str) -> None:
        if self.regression:
            if self.ntargets == 0:
                raise BadParameter(
                    "number of regression targets is unknown (ntargets == 0):"
                    " set parameters.mllib.ntargets to 1"
                )
        elif self.nclasses == 0:
            raise BadParameter(
                "number of classes is unknown (nclasses == 0): set parameters.mllib.nclasses"
            )
        self.check_objective()

    def check_objective(self) -> None:
        """Raises BadParameter when the objective does not fit the task."""
        objective = self.xgboost_objective
        if self.regression and objective in CLASSIFICATION:
            raise BadParameter(
                f"parameters.mllib.objective: {objective} is a classification,"
                " but the service was created with regression: true"
            )
        if objective == "binary:logistic" and self.nclasses != 2:
            raise BadParameter(
                f"parameters.mllib.nclasses: {self.nclasses}, expected 2 with binary:logistic"
            )

    def for_xgboost(self, *, threads: int) -> dict[str, Any]:
        """What `xgboost.train` gets as its `params`."""
        self.check_objective()
        params = self.booster_params.for_booster(self.booster) | {
            "booster": self.booster,
            "objective": self.xgboost_objective,
            "base_score": self.base_score,
            "seed": self.seed,
            "nthread": threads,
        }
        if self.xgboost_objective == "multi:softprob":
            params["num_class"] = self.nclasses
        if self.num_feature:
            params["num_feature"] = self.num_feature
        if self.eval_metric:
            params["eval_metric"] = self.eval_metric
        return params
