"""What a CT scanner makes of tissue: blur, noise of a reconstruction kernel, streaks, padding, clipping."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from shapes import Array, Chance, Mask, plane

LOWEST, HIGHEST = -1024, 3071
"""HU that 12 bits hold."""


def scan(tissue: Array, fine: int, noise: float, chance: Chance) -> NDArray[np.int16]:
    """Whole HU of pixels, from tissue drawn `fine` times finer; `noise` is a usual deviation in HU."""
    blurred = ndimage.gaussian_filter(tissue, 0.45 * fine)
    rows, columns = (side // fine for side in tissue.shape)
    image = blurred.reshape(rows, fine, columns, fine).mean(axis=(1, 3))
    strength = noise * _noise_map(image)
    image = image + strength * _grain(image.shape, chance) + _streaks(image, strength, chance)
    whole: NDArray[np.int16] = np.clip(np.round(image), LOWEST, HIGHEST).astype(np.int16)
    return whole


def find_unseen(side: int) -> Mask:
    """The corners outside the circle that a scanner reconstructs."""
    y, x = plane(side, side, 1.0)
    return y**2 + x**2 > (side / 2) ** 2


def _grain(shape: tuple[int, ...], chance: Chance) -> Array:
    """Noise of deviation 1 with the spectrum of filtered back projection: a ramp under a soft window."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :])
    kernel = (frequency + 0.02) * np.exp(-((frequency / 0.22) ** 2))
    grain = np.fft.ifft2(np.fft.fft2(chance.normal(size=shape)) * kernel).real
    return np.asarray(grain / grain.std())


def _noise_map(image: Array) -> Array:
    """How strong noise is at a point: rays through the middle and along the shoulders lose most."""
    density = np.clip(image + 1000, 0, 1600) / 1000
    thick = [ndimage.gaussian_filter1d(density.mean(axis=axis), 4) for axis in (0, 1)]
    paths = (thick[0][None, :] + thick[1][:, None]) / 2
    near = ndimage.gaussian_filter(np.clip(density, 0, 1), 12)
    return np.asarray((0.25 + 1.6 * paths**1.5) * (0.15 + 0.85 * near))


def _streaks(image: Array, strength: Array, chance: Chance) -> Array:
    """Faint lines along rows that cross much bone and muscle, where few photons arrive."""
    lines = ndimage.gaussian_filter(chance.normal(size=image.shape), (0.6, 22))
    path = ndimage.gaussian_filter1d(np.clip(image + 1000, 0, 1800).mean(axis=1), 2) / 1000
    return np.asarray(lines / lines.std() * strength * 0.9 * np.clip(path - 0.62, 0, 0.5)[:, None] * 2)
