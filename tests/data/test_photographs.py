import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from probatum.data import IMAGENET, UNIT_RANGE, Preprocessing, load_photographs, open_photograph
from probatum.errors import InvalidInput

RGB = Preprocessing((0.0,) * 3, (1.0,) * 3)
PIXELS = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
DATA = os.environ.get("PROBATUM_DATA")


def save(path: Path, image: Image.Image | None = None, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or Image.fromarray(PIXELS)).save(path, **options)
    return path


def opened(path: Path, channels: int = 3) -> np.ndarray:
    return np.asarray(open_photograph(path, channels))


def test_a_folder_is_searched_in_sorted_order(tmp_path):
    for name in ("b/2.PNG", "b/10.png", "a.bmp", ".hidden/x.png", "b/._2.png"):
        save(tmp_path / name, format="PNG")
    (tmp_path / "notes.md").write_text("no image")
    photographs = load_photographs(tmp_path, RGB)
    assert photographs.image_names == ("a.bmp", "b/10.png", "b/2.PNG")
    assert photographs.name == tmp_path.name
    assert photographs.labels is None
    assert photographs.class_names is None
    expected = torch.from_numpy(PIXELS).permute(2, 0, 1) / 255
    torch.testing.assert_close(photographs.images, expected.expand(3, 3, 6, 8))
    assert load_photographs(tmp_path, RGB, limit=2).image_names == ("a.bmp", "b/10.png")


def test_sub_folders_are_classes(tmp_path):
    for name in ("dog/1.png", "cat/images/1.png", "cat/images/2.png", "dog/2.png", "eel/1.png"):
        save(tmp_path / name)
    photographs = load_photographs(tmp_path, RGB)
    assert photographs.class_names == ("cat", "dog", "eel")
    assert photographs.labels.tolist() == [0, 0, 1, 1, 2]
    few = load_photographs(str(tmp_path), RGB, limit=4)
    assert few.image_names == ("cat/images/1.png", "cat/images/2.png", "dog/1.png", "eel/1.png")
    assert few.labels.tolist() == [0, 0, 1, 2]


def test_unreadable_images_give_way_to_the_next_of_their_class(tmp_path):
    for name in ("dog/1.png", "dog/2.png", "cat/1.png", "cat/2.png", "cat/3.png"):
        save(tmp_path / name)
    for name in ("cat/1.png", "dog/2.png"):
        (tmp_path / name).write_bytes(b"no image")
    skipped = []
    found = load_photographs(tmp_path, RGB, limit=3, skip=lambda name, fault: skipped.append((name, fault[:22])))
    assert found.image_names == ("cat/2.png", "cat/3.png", "dog/1.png")
    assert found.labels.tolist() == [0, 0, 1]
    assert skipped == [("cat/1.png", "not a readable image ("), ("dog/2.png", "not a readable image (")]
    for path in tmp_path.rglob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(InvalidInput, match=r"none of the 5 images of .* can be read"):
        load_photographs(tmp_path, RGB, skip=lambda name, fault: None)


def test_one_sub_folder_is_no_class(tmp_path):
    save(tmp_path / "images" / "1.png")
    assert load_photographs(tmp_path, RGB).labels is None


def test_one_file_a_list_and_a_list_file(tmp_path):
    first, second = save(tmp_path / "p" / "x.png"), save(tmp_path / "q" / "x.png")
    assert load_photographs(first, RGB).image_names == ("x.png",)
    assert load_photographs([second, str(first)], RGB).image_names == ("q/x.png", "p/x.png")
    (tmp_path / "list.txt").write_text(f"\ufeff# two\nq/x.png\n\n{first}\n", encoding="utf-8")  # with a mark
    listed = load_photographs(tmp_path / "list.txt", RGB)
    assert (listed.name, listed.image_names) == ("list", ("q/x.png", "p/x.png"))


def test_jpeg_webp_and_upper_case(tmp_path):
    for name, kind in (("a.JPEG", "JPEG"), ("b.jpg", "JPEG"), ("c.WebP", "WEBP")):
        save(tmp_path / name, format=kind)
    assert load_photographs(tmp_path, RGB).images.shape == (3, 3, 6, 8)


def test_gray_and_palette_and_bilevel(tmp_path):
    gray = np.arange(48, dtype=np.uint8).reshape(6, 8)
    assert np.array_equal(opened(save(tmp_path / "gray.png", Image.fromarray(gray))), np.stack([gray] * 3, -1))
    flat = Image.new("RGB", (4, 4), (10, 20, 30))
    assert (opened(save(tmp_path / "palette.png", flat.quantize(4))) == (10, 20, 30)).all()
    assert (opened(save(tmp_path / "bits.png", Image.new("1", (4, 4), 1))) == 255).all()
    assert opened(tmp_path / "palette.png", channels=1).shape == (4, 4)


def test_transparency_is_laid_over_white(tmp_path):
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[..., 3] = [[0, 255], [255, 0]]
    expected = np.array([[255, 0], [0, 255]], dtype=np.uint8)
    assert np.array_equal(opened(save(tmp_path / "alpha.png", Image.fromarray(pixels)))[..., 0], expected)
    gray = Image.fromarray(pixels).convert("LA")
    assert np.array_equal(opened(save(tmp_path / "la.png", gray))[..., 1], expected)
    palette = Image.fromarray(np.array([[0, 1], [1, 0]], dtype=np.uint8)).convert("P")
    assert np.array_equal(opened(save(tmp_path / "p.png", palette, transparency=0))[..., 2] > 128, expected > 128)


def test_cmyk(tmp_path):
    path = save(tmp_path / "print.jpg", Image.new("CMYK", (16, 16), (255, 0, 0, 0)))
    red, green, blue = opened(path)[8, 8].tolist()
    assert red < 5
    assert min(green, blue) > 250


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    assert opened(save(tmp_path / "deep.png", Image.fromarray(values)))[0, :, 0].tolist() == [0, 1, 128, 255]
    assert opened(save(tmp_path / "deep.tif", Image.fromarray(values)))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    path = save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(opened(path), np.rot90(PIXELS, -1))


@pytest.mark.parametrize("values", [np.full((2, 2), 0.5, np.float32), np.full((2, 2), -1, np.int32)])
def test_pixels_without_a_known_range(tmp_path, values):
    with pytest.raises(InvalidInput, match=r"odd\.tif: .*8 or 16 bits"):
        load_photographs(save(tmp_path / "odd.tif", Image.fromarray(values)), RGB)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_a_truncated_image_is_named(tmp_path, kind, share):
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, kind)
    save(tmp_path / "a.png", Image.fromarray(noise))
    (tmp_path / "broken.png").write_bytes(stream.getvalue()[: int(share * len(stream.getvalue()))])
    with pytest.raises(InvalidInput, match=r"broken\.png: not a readable image"):
        load_photographs(tmp_path, RGB)


def test_what_is_not_there(tmp_path):
    with pytest.raises(InvalidInput, match=r"no file or folder .*nowhere"):
        load_photographs(tmp_path / "nowhere", RGB)
    with pytest.raises(InvalidInput, match="no image"):
        load_photographs(tmp_path, RGB)
    with pytest.raises(InvalidInput, match="list is empty"):
        load_photographs([], RGB)
    with pytest.raises(InvalidInput, match=r"no image file .*gone"):
        load_photographs([tmp_path / "gone.png"], RGB)
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not a text file"):
        load_photographs(tmp_path / "list.txt", RGB)


def test_twice_listed_differing_sizes_and_limits(tmp_path):
    first, second = save(tmp_path / "1.png"), save(tmp_path / "2.png", Image.new("RGB", (9, 9)))
    with pytest.raises(InvalidInput, match="listed twice"):
        load_photographs([first, first], RGB)
    with pytest.raises(InvalidInput, match="crops to one size"):
        load_photographs([first, second], RGB)
    with pytest.raises(InvalidInput, match="limit is 0"):
        load_photographs(first, RGB, limit=0)
    assert load_photographs([first, second], IMAGENET).images.shape == (2, 3, 224, 224)


def test_channels(tmp_path):
    path = save(tmp_path / "1.png")
    assert load_photographs(path, UNIT_RANGE).images.shape == (1, 1, 6, 8)
    with pytest.raises(InvalidInput, match="1 or 3 channels, not 2"):
        load_photographs(path, Preprocessing((0.0, 0.0), (1.0, 1.0)))


@pytest.mark.skipif(DATA is None, reason="PROBATUM_DATA is unset")
def test_real_photographs():
    samples = load_photographs(Path(DATA, "imagenet-samples"), IMAGENET, limit=3)
    assert samples.image_names[0].startswith("n0")
    assert samples.images.isfinite().all()
    assert len(load_photographs(Path(DATA, "imagenet-demo"), IMAGENET)) == 8
