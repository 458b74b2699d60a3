"""The training loop: updates, tests, snapshots, best models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dd_ray.data import Floats, Output
from dd_ray.errors import BadParameter, LibraryError
from dd_ray.mllibs.spec import Run
from dd_ray.mllibs.torch.best import BestModels
from dd_ray.mllibs.torch.checkpoints import Checkpoints
from dd_ray.mllibs.torch.feed import Feed
from dd_ray.mllibs.torch.losses import Loss
from dd_ray.mllibs.torch.order import Draw, in_order, part_of, shuffled
from dd_ray.mllibs.torch.solver import Solver
from dd_ray.mllibs.torch.solver_params import Solving
from dd_ray.mllibs.torch.together import Together


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a training does; see the fields of `parameters.mllib`."""

    solving: Solving
    start: int
    """Updates that an earlier training has done."""
    batch_size: int
    test_batch_size: int
    seed: int
    autoencoder: bool
    device: torch.device


class Training:
    """One training of a network. `output` makes of network outputs and inputs what they mean."""

    def __init__(
        self,
        plan: Plan,
        network: torch.nn.Module,
        solver: Solver,
        *,
        train: Feed,
        tests: Sequence[Feed],
        loss: Loss,
        output: Callable[[Floats, Floats | None], Output],
        checkpoints: Checkpoints,
        best: BestModels,
        run: Run,
    ) -> None:
        self._plan = plan
        self._network = network
        self._solver = solver
        self._train = train
        self._tests = tests
        self._loss = loss
        self._output = output
        self._checkpoints = checkpoints
        self._best = best
        self._run = run
        self._together = Together(run.team, network, plan.device)
        self._first = plan.start

    def run(self) -> tuple[int, list[dict[str, Any]]]:
        """Trains; returns the number of updates done and the last measures of each test set."""
        plan, solving = self._plan, self._plan.solving
        self._run.begin(solving.iterations, start=plan.start)
        found = self._run.interrupted
        done, loss = plan.start, float("nan")
        measures: list[dict[str, Any]] = []
        if found is None:
            self._checkpoint(done, loss, measures, save=True)  # of random weights, too
        else:
            loss, measures = found.notes["loss"], found.notes["measures"]
            self._first = found.notes["first"]
            self._checkpoints.pin(self._best.iterations)
        if done == 0 and solving.test_initialization:
            measures = self._test(0, {})
        batches = self._batches()
        try:
            while done < solving.iterations and not self._stopped():
                step = self._step(batches, done)
                if step is None:
                    break
                loss, rate = step
                self._run.report(done, train_loss=loss, learning_rate=rate)
                done += 1
                last = done == solving.iterations
                if last or (solving.test_interval and done % solving.test_interval == 0):
                    measures = self._test(done, {"train_loss": loss}) or measures
                if solving.snapshot and done % solving.snapshot == 0:
                    self._save(done, regular=True)
                    self._checkpoint(done, loss, measures)
                elif self._run.checkpoint_due:
                    self._checkpoint(done, loss, measures, save=True)
        finally:
            batches.close()
        if done == plan.start and not measures and not self._stopped():
            measures = self._test(done, {})  # resumed where nothing was left to do
        if done > self._first:
            self._save(done, regular=True)
            self._checkpoint(done, loss, measures)
        self._checkpoints.drop_except(self._best.iterations)
        return done, measures or [_untested(done, loss)]

    def _stopped(self) -> bool:
        return self._together.agreed(self._run.stopped)

    def _save(self, done: int, *, regular: bool) -> None:
        if self._run.team.leads:
            self._checkpoints.save(done, regular=regular)

    def _checkpoint(
        self, done: int, loss: float, measures: list[dict[str, Any]], *, save: bool = False
    ) -> None:
        """From here it goes on when its process dies; without `save` from what is served."""
        notes = {"first": self._first, "loss": loss, "measures": measures}
        self._run.checkpoint(
            done,
            notes=notes | self._checkpoints.notes | {"best": self._best.notes},
            save=(lambda folder: self._checkpoints.write(folder, done)) if save else None,
        )
        self._checkpoints.pin(self._best.iterations)
        self._checkpoints.drop_except(self._best.iterations)

    def _batches(self) -> Any:
        plan = self._plan
        passes, team = plan.solving.iter_size, self._run.team
        draws = shuffled(
            len(self._train),
            plan.batch_size * team.size,
            seed=plan.seed,
            start=plan.start * passes,
        )
        return self._moved(self._train, part_of(draws, team.rank, team.size))

    def _moved(
        self, feed: Feed, draws: Iterator[Draw]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Inputs and targets of each batch, on the device."""
        device = self._plan.device
        for draw, inputs in feed.inputs(draws):
            targets = torch.from_numpy(feed.targets_NT[draw.indices_B].astype(np.float32))
            yield inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True)

    def _step(
        self, batches: Iterator[tuple[torch.Tensor, torch.Tensor]], iteration: int
    ) -> tuple[float, float] | None:
        """One update: its mean loss and learning rate; None when it was stopped midway."""
        passes = self._plan.solving.iter_size
        self._network.train()
        total = torch.zeros((), device=self._plan.device)
        for number in range(passes):
            if self._stopped():
                return None
            inputs, targets = next(batches)
            with self._together.passing(last=number == passes - 1):
                outputs = self._outputs_of(inputs)
                loss = self._loss(outputs, inputs if self._plan.autoencoder else targets) / passes
                loss.backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        value = self._together.mean(total)
        if not np.isfinite(value):
            raise LibraryError(
                f"the loss is {value} at iteration {iteration}: lower solver.base_lr, set"
                " solver.clip, or scale the data"
            )
        return value, self._solver.step(iteration)

    def _outputs_of(self, inputs: torch.Tensor) -> Any:
        try:
            return self._together(inputs)
        except ValueError as exc:
            if "more than 1 value per channel" not in str(exc):
                raise
            raise BadParameter(
                "parameters.mllib.net.batch_size: a network that normalizes batches needs at least"
                f" 2 examples in each, got {len(inputs)}"
            ) from exc

    def _test(self, done: int, values: dict[str, float]) -> list[dict[str, Any]]:
        """The measures of each test set after `done` updates; saves the best models."""
        measures = []
        self._together.level()
        for index, feed in enumerate(self._tests):
            if self._stopped():
                return []
            tested = self._outputs(feed)
            if tested is None and self._run.team.alone:
                return []
            measure: dict[str, Any] = {}
            if tested is not None:
                measure = self._run.test(
                    max(done - 1, 0), tested, feed.targets_NT, test_set=index, values=values
                )
            measures.append(measure)
            if done and self._best.improves(index, measure):
                self._save(done, regular=False)
                self._best.keep(index, done, measure)
        self._checkpoints.drop_except(self._best.iterations)
        return measures

    def _outputs(self, feed: Feed) -> Output | None:
        """What the network says of a test set, for who leads; None when it was stopped midway."""
        self._network.eval()
        outputs, kept = [], []
        start, end = self._together.range_of(len(feed))
        with torch.inference_mode():
            for inputs, _ in self._moved(
                feed, in_order(end, self._plan.test_batch_size, start=start)
            ):
                if self._run.team.alone and self._run.stopped:
                    return None
                outputs.append(self._network(inputs).float().cpu().numpy())
                if self._plan.autoencoder:
                    kept.append(inputs.cpu().numpy())
        joined = self._together.joined(outputs)
        shown = self._together.joined(kept) if self._plan.autoencoder else None
        return None if joined is None else self._output(joined, shown)


def _untested(done: int, loss: float) -> dict[str, Any]:
    """The measures of a training without a test set."""
    measure = {"iteration": float(max(done - 1, 0))}
    return measure | ({"train_loss": loss} if np.isfinite(loss) else {})
