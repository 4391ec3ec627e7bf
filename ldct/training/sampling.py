"""Which tiles stand in which batch: a pure function of (seed, stream, step)."""

import numpy as np

# Streams keep the batches of the generator and of its critic independent of each other.
STREAMS = {"generator": 0, "critic": 1}


def steps_per_epoch(tiles: int, batch: int) -> int:
    """Number of batches in which each of `tiles` tiles appears once (the last may be short)."""
    return -(-tiles // batch)


def batch_length(tiles: int, batch: int, step: int) -> int:
    """Tiles in batch `step` (0, 1, ...): `batch`, but for the last one of each epoch."""
    place = step % steps_per_epoch(tiles, batch)
    return min(batch, tiles - place * batch)


class BatchSampler:
    """Batches of tile rows; each epoch is one permutation of all tiles.

    Any step can be asked for at any time, so a resumed training draws what an uninterrupted one
    would have drawn. Shuffling is by the counter-based Philox generator, keyed on seed, stream
    and epoch.
    """

    def __init__(self, tiles: int, batch: int, seed: int, stream: str) -> None:
        self.tiles = tiles
        self.batch = batch
        self.key = (seed, STREAMS[stream])
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def rows(self, step: int) -> np.ndarray:
        """Rows of the tile table for batch `step` (0, 1, ...): int64 [<= batch]."""
        epoch, place = divmod(step, steps_per_epoch(self.tiles, self.batch))
        if epoch != self._epoch:
            self._order = self._permutation(epoch)
            self._epoch = epoch
        return self._order[place * self.batch : (place + 1) * self.batch]

    def _permutation(self, epoch: int) -> np.ndarray:
        seed = np.random.SeedSequence([*self.key, epoch])
        return np.random.Generator(np.random.Philox(seed)).permutation(self.tiles)
