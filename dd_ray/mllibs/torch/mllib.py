"""The `torch`, `caffe` and `caffe2` mllibs: one engine under three names."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dd_ray.data import Dataset, TrainReport
from dd_ray.errors import BadInput, BadParameter
from dd_ray.mllibs.spec import Run
from dd_ray.mllibs.threads import cpu_threads, service_threads
from dd_ray.mllibs.torch.best import BestModels
from dd_ray.mllibs.torch.checkpoints import Checkpoints, check_resume, read_state
from dd_ray.mllibs.torch.description import TRACED, Description, read_description
from dd_ray.mllibs.torch.device import device_for, keep_freed_memory
from dd_ray.mllibs.torch.feed import Feed, feed_of
from dd_ray.mllibs.torch.files import TRACED_MODEL, NetworkFiles, traced_model
from dd_ray.mllibs.torch.fusion import by_pixel
from dd_ray.mllibs.torch.loop import Plan, Training
from dd_ray.mllibs.torch.losses import loss_of, output_of
from dd_ray.mllibs.torch.network import (
    Network,
    new_network,
    start_from,
    stored_network,
    traced_network,
)
from dd_ray.mllibs.torch.order import Draw, in_order
from dd_ray.mllibs.torch.params import TorchParams
from dd_ray.mllibs.torch.predictor import TorchPredictor
from dd_ray.mllibs.torch.solver import Solver
from dd_ray.mllibs.torch.task import Task
from dd_ray.repository import NETWORK, ModelFiles, Repository
from dd_ray.templates.spec import Shape
from dd_ray.templates.table import TEMPLATES

logger = logging.getLogger(__name__)

_BATCH = 32
"""Examples of an update where neither call nor template say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchLibrary:
    """Trains and loads networks; see MLLib. The names of its files are what differs."""

    weights: ModelFiles
    state: ModelFiles
    state_word: str

    def train(
        self, dataset: Dataset, repository: Repository, params: TorchParams, run: Run
    ) -> TrainReport:
        files = self.files(params.solver.snapshot_prefix)
        found, team = run.interrupted, run.team
        if found is None:
            folder, start = repository, check_resume(repository, files, resume=params.resuming)
        else:
            folder, start = found.folder, found.done
        state = read_state(folder, files, start) if start or found else None
        seed = state.seed if state else params.seed if params.seed >= 0 else secrets.randbits(31)
        seed = team.share(seed)
        torch.manual_seed(seed)
        spec = params.spec
        solving = params.solver.resolved(spec.solver if spec else {})
        device = device_for(params.gpus, threads=team.threads(cpu_threads()))
        keep_freed_memory()
        batch_size = params.net.batch_size or (spec.batch_size if spec else 0) or _BATCH
        train = _feed(dataset.train, params, seed=seed, training=True)
        tests = [_feed(test.examples, params, seed=seed) for test in dataset.tests]
        known = read_description(folder) if state else None
        if known is not None:
            network = self._stored(folder, known, files, start)
        else:
            network = self._network(repository, params, files, train)
        if params.freeze_traced:
            network.freeze_all_but_head()
        description = network.description
        _check_targets(description, train)
        network.module.to(device)
        if train.shape.is_image:
            by_pixel(network.module)
        solver = Solver(network.module, solving, seed=seed)
        if state is not None:
            solver.load_state_dict(state.solver)
            state.restore_random()
        if not team.leads:  # what is dropped out by chance is not the same on all workers
            torch.manual_seed(_seed_of(seed, start, team.rank))
        if team.leads and (state is None or found is not None):
            repository.stage(NETWORK, description.model_dump_json().encode())
        best = BestModels(
            repository,
            tuple(t.name for t in dataset.tests),
            resume=bool(start) and team.leads,
            notes=found.notes["best"] if found and team.leads else None,
        )
        training = Training(
            Plan(
                solving=solving,
                start=start,
                batch_size=batch_size,
                test_batch_size=params.net.test_batch_size or batch_size,
                seed=seed,
                autoencoder=description.task is Task.AUTOENCODER,
                device=device,
            ),
            network.module,
            solver,
            train=train,
            tests=tests,
            loss=loss_of(
                description.task,
                regression=description.loss or "mse",
                class_weights=params.class_weights,
                ignore_label=params.ignore_label,
                device=device,
            ),
            output=partial(
                output_of,
                description.task,
                temperature=params.scaling_temperature,
                loss=description.loss,
            ),
            checkpoints=Checkpoints(
                repository,
                network,
                solver,
                seed=seed,
                notes=found.notes if found and team.leads else None,
            ),
            best=best,
            run=run,
        )
        done, measures = training.run()
        number = best.first.iteration if best.first else done
        return TrainReport(measures=tuple(measures), model=network.model_files.name(number))

    def load(
        self, repository: Repository, params: TorchParams, *, inner_layers: bool = False
    ) -> TorchPredictor:
        description = read_description(repository) or _traced(params)
        files = self.files(description.prefix)
        network = stored_network(repository, description, files)
        classes = params.class_count
        if description.task is Task.CLASSIFICATION and classes not in (0, description.outputs):
            raise BadParameter(
                f"the model has {description.outputs} classes, but parameters.mllib.nclasses is"
                f" {classes}"
            )
        device = device_for(params.gpus, threads=service_threads())
        return TorchPredictor(network, device, inner_layers=inner_layers)

    def files(self, prefix: str) -> NetworkFiles:
        """The files' names with the prefix that a call gives them, where it may."""
        if not prefix:
            return NetworkFiles(weights=self.weights, state=self.state, state_word=self.state_word)
        name = f"{Path(prefix).name}_iter_"
        return NetworkFiles(
            weights=ModelFiles(prefix=name, suffix=self.weights.suffix),
            state=ModelFiles(prefix=name, suffix=self.state.suffix),
            state_word=self.state_word,
        )

    def _stored(
        self, folder: Repository, known: Description, files: NetworkFiles, done: int
    ) -> Network:
        """The network to go on training, as it was after `done` updates."""
        weights = TRACED_MODEL if known.template == TRACED else files.weights
        return stored_network(folder, known, files, folder.path / weights.name(done))

    def _network(
        self, repository: Repository, params: TorchParams, files: NetworkFiles, train: Feed
    ) -> Network:
        """The network to train, with the weights that it starts from."""
        known = read_description(repository)
        if params.spec is None and known is None and traced_model(repository) is None:
            raise BadParameter(
                f"no network in {repository.path}: set parameters.mllib.template to one of"
                f" {', '.join(TEMPLATES.names())}"
            )
        if params.spec is None and (known is None or known.template == TRACED):
            sample = next(train.inputs(_one()))[1]
            network = traced_network(
                repository,
                _traced(params, train),
                files,
                finetuning=params.finetuning,
                sample=sample,
            )
        else:
            network = new_network(self._described(params, train, known), files)
            path_ = params.weights_path(repository) or repository.newest_model(files.weights)
            if path_ is not None:
                logger.info("training starts from %s", path_)
                start_from(network, path_, finetuning=params.finetuning)
            elif params.finetuning:
                raise BadParameter("finetuning requires specifying an existing weights file")
        return network

    def _described(
        self, params: TorchParams, train: Feed, known: Description | None
    ) -> Description:
        """What the network to train is; a service made without a template has the known one."""
        spec = params.spec
        task = params.task_on(train.targets_NT)
        loss = params.regression_loss if task is Task.REGRESSION else ""
        return Description.of(
            spec.name if spec else known.template if known else "",
            options=params.options if spec or known is None else known.network_options,
            shape=train.shape,
            outputs=params.output_count(train.targets_NT),
            task=task,
            loss=loss,
            crop_size=params.crop_size,
            prefix=params.solver.snapshot_prefix,
        )


Torch = TorchLibrary(
    weights=ModelFiles(prefix="checkpoint-", suffix=".npt"),
    state=ModelFiles(prefix="solver-", suffix=".pt"),
    state_word="solverstate",
)
Caffe = TorchLibrary(
    weights=ModelFiles(prefix="model_iter_", suffix=".caffemodel"),
    state=ModelFiles(prefix="model_iter_", suffix=".solverstate"),
    state_word=".solverstate",
)


def _feed(examples: Any, params: TorchParams, *, seed: int, training: bool = False) -> Feed:
    return feed_of(
        examples,
        size=(params.crop_size, params.crop_size) if params.crop_size else None,
        augmentation=params.augmentation if training else None,
        seed=seed,
    )


def _seed_of(seed: int, start: int, rank: int) -> int:
    return int(np.random.SeedSequence((seed, start, rank)).generate_state(1)[0])


def _one() -> Iterator[Draw]:
    return in_order(1, 1)


def _traced(params: TorchParams, train: Feed | None = None) -> Description:
    """A TorchScript model as the parameters describe it."""
    task = params.task if train is None else params.task_on(train.targets_NT)
    return Description.of(
        TRACED,
        options=params.options,
        shape=Shape() if train is None else train.shape,
        outputs=params.class_count or params.ntargets,
        task=task,
        loss=params.regression_loss if task is Task.REGRESSION else "",
        crop_size=params.crop_size,
    )


def _check_targets(description: Description, train: Feed) -> None:
    """Raises BadInput when there are not as many targets as the network has outputs."""
    width = train.targets_NT.shape[1]
    counted = description.task not in (Task.CLASSIFICATION, Task.AUTOENCODER)
    if counted and width != description.outputs:
        raise BadInput(
            f"{width} targets an example, but parameters.mllib says {description.outputs}"
        )
