"""Several processes that train one stage together, each on its part of every batch.

Gradients are summed by hand after each backward pass, not by DistributedDataParallel: a generator
and its critic take turns, the critic is frozen in between, and the gradient penalty differentiates
twice. DistributedDataParallel ties its sums to forward calls and hooks that fit none of these. What
it would add, sums that overlap with the backward pass, is little for networks this small.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ldct.common.errors import InputError

# Processes wait for a long validation, or for another job that holds the folder. One that dies is
# noticed at once, since its connections close.
PATIENCE = timedelta(days=7)
TEXT_BYTES = 256


@dataclass(frozen=True)
class Group:
    """The processes of one training; functions do nothing where there is one.

    rank : of this process, 0 writes all files. size : number of processes.
    local_rank, local_size : the same on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def several(self) -> bool:
        """Whether there is more than one process."""
        return self.size > 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum of a tensor over processes, in place."""
        return self._reduce(tensor, dist.ReduceOp.SUM)

    def largest(self, values: Sequence[int]) -> list[int]:
        """Largest of each integer over processes. Waits for processes, not for GPUs."""
        if not self.several:
            return list(values)
        return self._reduce(torch.tensor(values, dtype=torch.int64), dist.ReduceOp.MAX).tolist()

    def total(self, value: float) -> float:
        """Sum of a number over processes. Waits for processes, not for GPUs."""
        if not self.several:
            return value
        return float(self.sum(torch.tensor(value, dtype=torch.float64)))

    def check_same(self, digest: int, what: str) -> None:
        """Raise InputError on all processes where `digest`, from 0 to 2^62, is not the same."""
        high, low = self.largest([digest, -digest])
        if high != -low:
            raise InputError(
                f"the {self.size} processes of this training differ in their {what}; expected one "
                "code, one set of files and one kind of device on all machines (a shared folder)"
            )

    def texts(self, text: str) -> list[str]:
        """A short text of every process, by rank."""
        if not self.several:
            return [text]
        own = torch.zeros(self.size, TEXT_BYTES, dtype=torch.int64)
        letters = text.encode()[:TEXT_BYTES]
        own[self.rank, : len(letters)] = torch.tensor(list(letters), dtype=torch.int64)
        rows = self.sum(own).tolist()
        return [bytes(row).rstrip(b"\0").decode(errors="replace") for row in rows]

    def share_first(self, tensors: Sequence[Tensor]) -> None:
        """Give all processes the tensors of process 0, in place."""
        if not self.several:
            return
        for tensor in tensors:
            values = tensor.detach().clone(memory_format=torch.contiguous_format)
            with self._saying_who():
                dist.broadcast(values, src=0)
            tensor.detach().copy_(values)

    def _reduce(self, tensor: Tensor, operation: dist.ReduceOp) -> Tensor:
        if self.several:
            with self._saying_who():
                dist.all_reduce(tensor, operation)
        return tensor

    @contextmanager
    def _saying_who(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:120]
            raise InputError(
                f"another of the {self.size} processes of this training has ended or cannot be "
                f"reached ({reason}); the last checkpoint stays: start again"
            ) from None


ALONE = Group()


@dataclass(frozen=True)
class Part:
    """Rows `first` to `last` of a batch of `total`, which this process computes.

    share : weight of this part's means in those of the whole batch; 0 where it repeats a row, since
        there are fewer rows than processes.
    """

    first: int = 0
    last: int | None = None
    total: int | None = None
    share: float = 1.0
    group: Group = field(default=ALONE)

    @property
    def rows(self) -> slice:
        """Of the batch."""
        return slice(self.first, self.last)

    def weigh(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Means over this part, as summands of those over the batch."""
        if not self.group.several:
            return dict(terms)
        return {name: value * self.share for name, value in terms.items()}


WHOLE = Part()


def part_of(group: Group, total: int) -> Part:
    """This process's part of a batch: neighbouring rows, equally many where that can be."""
    if not group.several:
        return WHOLE
    first, last = (total * rank // group.size for rank in (group.rank, group.rank + 1))
    if first == last:
        return Part(0, 1, total, 0.0, group)
    return Part(first, last, total, (last - first) / total, group)


def add_up(network: nn.Module, part: Part) -> None:
    """Sum gradients over processes, and average the moving statistics of batch norm by share.

    The losses were weighted by share before the backward pass, so the sum is the gradient of the
    mean over the whole batch. One message for all.
    """
    if not part.group.several:
        return
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    statistics = moving_statistics(network)
    with torch.no_grad():
        for tensor in statistics:
            tensor.mul_(part.share)
        tensors = gradients + statistics
        flat = part.group.sum(torch.cat([tensor.reshape(-1) for tensor in tensors]))
        places = flat.split([tensor.numel() for tensor in tensors])
        for tensor, values in zip(tensors, places, strict=True):
            tensor.copy_(values.view(tensor.shape))


def moving_statistics(network: nn.Module) -> list[Tensor]:
    """Running means and variances that each process has from its own rows."""
    found = []
    for module in network.modules():
        is_own = isinstance(module, nn.modules.batchnorm._BatchNorm)
        if is_own and not isinstance(module, nn.SyncBatchNorm) and module.track_running_stats:
            found += [module.running_mean, module.running_var]
    return found


def add_up_terms(terms: dict[str, Tensor], group: Group) -> dict[str, Tensor]:
    """Loss terms of the whole batch from those that every process weighed by its share."""
    if not group.several:
        return terms
    values = group.sum(torch.stack([value.float() for value in terms.values()]))
    return dict(zip(terms, values.unbind(), strict=True))


def with_common_statistics(network: nn.Module, group: Group, on_gpu: bool) -> nn.Module:
    """The network with batch norm over all processes' rows, on GPUs.

    PyTorch has none on a CPU: there each process normalises by its own rows.
    """
    if not group.several or not on_gpu:
        return network
    return nn.SyncBatchNorm.convert_sync_batchnorm(network)


@contextmanager
def joined(rank: int, size: int, local: tuple[int, int], backend: str) -> Iterator[Group]:
    """The group of processes that torchrun started, for one block; `ALONE` for size 1."""
    if size == 1:
        yield ALONE
        return
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Group(rank, size, *local)
    finally:
        dist.destroy_process_group()


def check_batch(batch: int, size: int, model: str) -> None:
    """Raise InputError where a batch cannot be split equally."""
    if batch % size:
        raise InputError(
            f"{model}: recipe.batch is {batch}, which {size} processes cannot share equally; "
            "expected a divisor of it as engine.processes (times the number of machines)"
        )
