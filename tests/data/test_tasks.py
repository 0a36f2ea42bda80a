import numpy as np
import pytest
import torch
from PIL import Image

from probatum.data import render_digits
from probatum.data.tasks import INK, MARGIN, half_digits, image_pairs, shapes_on_digits
from probatum.data.tiny_imagenet import read_tiny_imagenet
from probatum.errors import InvalidInput


@pytest.fixture(scope="module")
def digits():
    return render_digits(300, "train", 0)


def test_half_digits_lose_the_bottom_half_and_nothing_else(digits):
    images, _ = digits
    before = images.clone()
    task = half_digits(images, seed=3)
    halved = task.labels.bool()
    assert torch.equal(task.images[~halved], images[~halved])
    assert torch.equal(task.images[halved][:, :, :14], images[halved][:, :, :14])
    assert not task.images[halved][:, :, 14:].any()
    assert torch.equal(images, before)
    assert task.regions[:, 14:].all()
    assert not task.regions[:, :14].any()
    # A fair coin: 300 draws lie within four standard deviations of 150.
    assert abs(int(halved.sum()) - 150) < 4 * np.sqrt(300) / 2


def test_half_digits_can_lose_the_top_half(digits):
    images, _ = digits
    bottom, top = half_digits(images, seed=3), half_digits(images, seed=3, deleted="top")
    halved = top.labels.bool()
    assert torch.equal(top.labels, bottom.labels)
    assert not top.images[halved][:, :, :14].any()
    assert torch.equal(top.images[halved][:, :, 14:], images[halved][:, :, 14:])
    assert torch.equal(top.regions, ~bottom.regions)


def test_half_digits_do_not_depend_on_their_number(digits):
    images, _ = digits
    assert torch.equal(half_digits(images[:50], 1).labels, half_digits(images, 1).labels[:50])
    assert not torch.equal(half_digits(images, 1).labels, half_digits(images, 2).labels)


def test_shapes_two_tasks_share_the_images(digits):
    images, labels = digits
    shapes, names = shapes_on_digits(images, labels, seed=0)
    assert torch.equal(shapes.images, names.images)
    assert torch.equal(names.labels, labels)
    assert shapes.class_names == ("nothing", "rectangle", "circle")
    # Three equal chances: within four standard deviations of 100 of 300.
    assert (torch.bincount(shapes.labels, minlength=3) - 100).abs().max() < 4 * np.sqrt(300 * 2 / 9)
    nothing = shapes.labels == 0
    assert torch.equal(shapes.images[nothing], images[nothing])
    assert not shapes.regions[nothing].any()
    assert shapes.regions[~nothing].flatten(1).any(1).all()


def test_shapes_are_where_the_region_says_and_as_large_as_stated(digits):
    images, labels = digits
    shapes, names = shapes_on_digits(images, labels, seed=0)
    changed = (shapes.images != images)[:, 0]
    assert not (changed & ~shapes.regions).any()
    for kind, least, most in ((1, 3, 7), (2, 5, 11)):
        for region in shapes.regions[shapes.labels == kind]:
            rows, columns = (region.any(axis).nonzero() for axis in (1, 0))
            for side in (rows, columns):
                length = int(side[-1] - side[0]) + 1
                assert length <= most + 2 * MARGIN
                cut = int(side[0] == 0 or side[-1] == 27) * MARGIN  # the margin ends at the edge
                assert length >= least + 2 * MARGIN - 2 * cut
    circle = int((shapes.labels == 2).nonzero()[0])
    rows, columns = changed[circle].nonzero().unbind(1)
    middle = shapes.images[circle, 0, int(rows.float().mean()), int(columns.float().mean())]
    assert int(middle) == int(images[circle, 0, int(rows.float().mean()), int(columns.float().mean())])  # empty
    ink = images[:, 0] >= INK
    assert (names.regions | ~ink).all()
    assert names.regions.float().mean() > ink.float().mean()


def test_shapes_do_not_depend_on_the_number_of_images(digits):
    images, labels = digits
    few, _ = shapes_on_digits(images[:20], labels[:20], seed=5)
    many, _ = shapes_on_digits(images, labels, seed=5)
    assert torch.equal(few.images, many.images[:20])


def test_shapes_refuse_small_images():
    with pytest.raises(InvalidInput, match="10x10"):
        shapes_on_digits(torch.zeros(2, 1, 10, 10, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))


def test_pairs_show_the_deciding_image_in_their_region():
    first = torch.arange(1, 6, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4).contiguous()
    second = first + 100
    task = image_pairs(first, torch.arange(5), second, tuple("abcde"), 200, seed=0)
    assert task.images.shape == (200, 3, 4, 8)
    assert task.regions.shape == (200, 4, 8)
    inside = task.images.masked_select(task.regions[:, None].expand(-1, 3, -1, -1)).view(200, -1)
    outside = task.images.masked_select(~task.regions[:, None].expand(-1, 3, -1, -1)).view(200, -1)
    assert torch.equal(inside, (task.labels + 1).to(torch.uint8)[:, None].expand(-1, 48))
    assert (outside > 100).all()
    left = task.regions[:, 0, 0]
    assert abs(int(left.sum()) - 100) < 4 * np.sqrt(200) / 2
    assert set(task.labels.tolist()) == set(range(5))
    again = image_pairs(first, torch.arange(5), second, tuple("abcde"), 20, seed=0)
    assert torch.equal(again.images, task.images[:20])


def test_pairs_refuse_what_does_not_fit():
    image = torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    with pytest.raises(InvalidInput, match="different shapes"):
        image_pairs(image, torch.zeros(1, dtype=torch.int64), image[..., :3], ("a",), 1)
    with pytest.raises(InvalidInput, match="0 and 1 images"):
        image_pairs(image[:0], torch.zeros(0, dtype=torch.int64), image, ("a",), 1)
    with pytest.raises(InvalidInput, match="seeds start at 0"):
        image_pairs(image, torch.zeros(1, dtype=torch.int64), image, ("a",), 1, seed=-1)


@pytest.fixture
def tiny(tmp_path):
    """Two classes in the official layout, three training and two validation images each, of their own gray."""
    wnids = ("n01", "n02")
    (tmp_path / "wnids.txt").write_text("\n".join(wnids) + "\n")
    (tmp_path / "words.txt").write_text("n01\tacorn, nut\nn02\twok\n")
    lines = []
    (tmp_path / "val" / "images").mkdir(parents=True)
    for place, wnid in enumerate(wnids):
        folder = tmp_path / "train" / wnid / "images"
        folder.mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (64, 64), (50 * place + 10 * number,) * 3).save(folder / f"{wnid}_{number}.JPEG")
        for number in range(2):
            name = f"val_{2 * number + place}.JPEG"
            Image.new("L", (64, 64), 200 + place).save(tmp_path / "val" / "images" / name)
            lines.append(f"{name}\t{wnid}\t0\t0\t63\t63")
    (tmp_path / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_tiny_imagenet_reads_the_official_layout(tiny):
    images, labels, names = read_tiny_imagenet(tiny, ("n02", "n01"), "train", 2)
    assert images.shape == (4, 3, 64, 64)
    assert labels.tolist() == [0, 0, 1, 1]
    assert names == ("wok", "acorn")
    assert images[:, 0, 0, 0].tolist() == [50, 60, 0, 10]
    test = read_tiny_imagenet(tiny, ("n01", "n02"), "test")
    assert test.images[:, 0, 0, 0].tolist() == [200, 200, 201, 201]


def test_tiny_imagenet_names_what_is_missing(tiny):
    with pytest.raises(InvalidInput, match="class n03"):
        read_tiny_imagenet(tiny, ("n01", "n03"))
    with pytest.raises(InvalidInput, match=r"has 3 train images of n01 \(acorn\), 9 are needed"):
        read_tiny_imagenet(tiny, ("n01",), "train", 9)
    (tiny / "val" / "images" / "val_0.JPEG").unlink()
    with pytest.raises(InvalidInput, match=r"val_0\.JPEG"):
        read_tiny_imagenet(tiny, ("n01",), "test")
    (tiny / "train" / "n01" / "images" / "n01_0.JPEG").write_bytes(b"no image")
    with pytest.raises(InvalidInput, match="not a readable image"):
        read_tiny_imagenet(tiny, ("n01",))
    Image.new("RGB", (32, 64)).save(tiny / "train" / "n02" / "images" / "n02_0.JPEG")
    with pytest.raises(InvalidInput, match="64x32 pixels"):
        read_tiny_imagenet(tiny, ("n02",))
    (tiny / "wnids.txt").unlink()
    with pytest.raises(InvalidInput, match=r"wnids\.txt cannot be read"):
        read_tiny_imagenet(tiny, ("n01",))


def test_the_papers_classes_are_in_the_real_folder(data_root):
    if not (data_root / "tiny-imagenet-200").is_dir():
        pytest.skip("no tiny-imagenet-200/ in PROBATUM_DATA")
    _, labels, names = read_tiny_imagenet(data_root / "tiny-imagenet-200", ("n12267677", "n07920052"), "test")
    assert names == ("acorn", "espresso")
    assert torch.bincount(labels).tolist() == [50, 50]
