"""The gray levels of pictures of a training are those of its real images."""

from types import SimpleNamespace

import numpy as np

from medgan.reports.tick_pictures import _WINDOW_IMAGES, TickPictures


def test_black_and_white_come_from_real_images_of_many_patients(tmp_path):
    asked = []

    def images(rows):
        asked.extend(rows.tolist())
        return np.random.default_rng(0).uniform(0.3, 0.6, (len(rows), 1, 8, 8)).astype(np.float32)

    patients = np.repeat([f"p{number}" for number in range(100)], 10)
    found = TickPictures(tmp_path, SimpleNamespace(), SimpleNamespace(images=images, patients=patients))
    low, high = found.window
    assert 0.3 <= low < 0.31
    assert 0.59 < high <= 0.6
    assert found.window == (low, high)
    assert len(asked) == _WINDOW_IMAGES
    assert len({patients[row] for row in asked}) == _WINDOW_IMAGES


def test_matplotlib_waits_until_something_is_drawn():
    import subprocess
    import sys

    script = (
        "import sys, medgan.reports.tick_pictures, medgan.commands.report, medgan.output.finalise; "
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
