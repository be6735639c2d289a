import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from empirics.data.streaming import evaluation_view, random_box, training_view
from tests.empirics.tiny_images import picture

pytestmark = pytest.mark.slow

sides = st.integers(1, 3000)


@settings(max_examples=300, deadline=None)
@given(sides, sides, st.integers(0, 2**63 - 1))
def test_a_random_crop_lies_inside_with_a_ratio_within_its_bounds(width, height, seed):
    left, top, right, bottom = random_box(width, height, np.random.default_rng(seed))
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    w, h = right - left, bottom - top
    # sides are rounded to whole pixels
    assert (w - 0.5) / (h + 0.5) <= 4 / 3 and (w + 0.5) / (h - 0.5) >= 3 / 4


@settings(max_examples=300, deadline=None)
@given(sides, sides, st.integers(0, 2**63 - 1))
def test_the_area_of_a_random_crop_is_at_least_eight_percent(width, height, seed):
    assume(1 / 2 <= width / height <= 2)
    left, top, right, bottom = random_box(width, height, np.random.default_rng(seed))
    assert (right - left + 0.5) * (bottom - top + 0.5) >= 0.08 * width * height


def test_areas_ratios_and_places_fill_their_ranges():
    boxes = np.array([random_box(1000, 1000, np.random.default_rng(seed)) for seed in range(3000)])
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area, ratio = w * h / 1e6, w / h
    assert area.min() < 0.09 and area.max() > 0.93
    # most that do not fit are large: half of the others lie below the middle
    assert np.mean(area < 0.29) == pytest.approx(0.21 / 0.92 * 1.05, abs=0.03)
    assert ratio.min() < 0.76 and ratio.max() > 1.31 and abs(np.log(ratio).mean()) < 0.02
    for low, side in ((boxes[:, 0], w), (boxes[:, 1], h)):
        place = low[side < 999] / (1000 - side[side < 999])
        assert place.min() == 0 and place.max() == 1 and place.mean() == pytest.approx(0.5, abs=0.03)


def test_where_no_draw_fits_the_largest_centred_part_is_taken():
    rng = np.random.default_rng(0)
    assert random_box(1000, 30, rng) == (480, 0, 520, 30) and random_box(30, 1000, rng) == (0, 480, 30, 520)


def test_a_training_view_is_the_resized_crop_and_mirrored_half_of_the_time():
    image, mirrored = picture(1, 60, 40), 0
    for seed in range(40):
        box = random_box(60, 40, rng := np.random.default_rng(seed))
        expected = np.asarray(image.crop(box).resize((16, 16), Image.Resampling.BILINEAR))
        if rng.random() < 0.5:
            expected, mirrored = expected[:, ::-1], mirrored + 1
        assert np.array_equal(training_view(image, 16, np.random.default_rng(seed)), expected)
    assert 10 < mirrored < 30


@pytest.mark.parametrize("width, height", [(500, 375), (375, 500), (256, 256), (1024, 300)])
def test_an_evaluation_view_is_the_centre_of_the_resized_image(width, height):
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 / width, y * 255 / height, 127 + 100 * np.sin(x / 40) * np.cos(y / 30)], -1)
    image = Image.fromarray(pixels.astype(np.uint8))
    scale = 256 / min(width, height)
    resized = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    left, top = (resized.width - 224) // 2, (resized.height - 224) // 2
    expected = np.asarray(resized.crop((left, top, left + 224, top + 224))).astype(int)
    found = evaluation_view(image, 224)
    assert found.shape == (224, 224, 3) and np.abs(found - expected).max() <= 4
    assert np.abs((found - expected).mean((0, 1))).max() < 0.6


def test_shrinking_averages_over_what_it_leaves_out():
    stripes = Image.fromarray(np.tile(np.uint8([0, 255]), (256, 128))[..., None].repeat(3, -1))
    assert np.abs(evaluation_view(stripes, 28)[2:-2, 2:-2].astype(int) - 127).max() < 12


def test_a_long_thin_image_takes_no_memory():
    for width, height in ((2**20, 1), (1, 2**20)):
        image = Image.new("RGB", (width, height))
        assert evaluation_view(image, 32).shape == (32, 32, 3)
        assert training_view(image, 32, np.random.default_rng(0)).shape == (32, 32, 3)
