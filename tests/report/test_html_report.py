"""The HTML report as a document: complete, well-formed, self-contained, and safe whatever a run folder holds."""

import base64
import hashlib
import json
import re
import shutil
import unicodedata
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_folders import (
    HOSTILE,
    METHODS,
    STAGES,
    check_folder,
    comparison_folder,
    explanation_folder,
    reproduction_folder,
    sentences_folder,
)

from probatum.errors import InvalidInput
from probatum.experiments.levels import read_levels
from probatum.experiments.tables import count
from probatum.report.html import reproduction
from probatum.report.html.charts import panel, scale_of
from probatum.report.html.page import json_text
from probatum.report.html.pictures import colored, reduced, sheet, stored_figure
from probatum.report.html.words import LONGEST, command, listed, number, plain, short_name
from probatum.report.html.words import settings as settings_in_words
from probatum.report.intervals import Interval
from probatum.terminal.kinds import write_report

FOLDERS = {
    "check": check_folder,
    "comparison": comparison_folder,
    "explanation": explanation_folder,
    "reproduction": reproduction_folder,
    "sentences": sentences_folder,
}
PLATES = {f"figures/{name}.png" for name in ("figure1", "figure1-maps", "figure10-curves")}
PAGES = {"adebayo/report.html", "random-logit/report.html"}  # of a comparison's checks, which lie in its folder
FILES = {"results.csv", "chance.csv", "ceiling.csv", "config.json", "maps"}  # of a check, beside its page
VOID = {"meta", "img", "input"}


class Document(HTMLParser):
    """Elements with attributes, the texts of scripts and styles, and visible text; fails on an unbalanced tag."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.raw, self.text, self._open = [], [], [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] in ("script", "style"):
            self.raw.append((self._open[-1], self.elements[-1][1], data))
        else:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(folder) -> str:
    return write_report(folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=FOLDERS)
def page(request, tmp_path_factory) -> str:
    return page_of(FOLDERS[request.param](tmp_path_factory.mktemp(request.param) / "run"))


def test_a_page_is_a_complete_document(page):
    document = Document(page)
    assert page.startswith("<!doctype html>")
    assert document.all("html") == [{"lang": "en"}]
    assert len(document.all("h1")) == len(document.all("main")) == 1
    assert page.count("</title>\n<style>") == 1
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in document.elements:
        for name in ("for", "aria-labelledby", "aria-controls", "aria-describedby"):
            assert set((attributes.get(name) or "").split()) <= set(ids)
    links = [attributes["href"] for attributes in document.all("a")]
    assert links[0] == "#main"
    assert {link.removeprefix("#") for link in links} <= {*ids, *PAGES, *FILES, *PLATES}


def test_headings_do_not_skip_a_level(page):
    levels = [int(tag[1]) for tag, _ in Document(page).elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_figures_tables_and_scroll_regions_have_names(page):
    document = Document(page)
    assert all("alt" in attributes for attributes in document.all("img"))
    assert all(attributes.get("scope") in ("col", "row", "rowgroup") for attributes in document.all("th"))
    assert page.count("<desc id=") == page.count('role="img"')
    for _, attributes in document.elements:
        if attributes.get("class") == "wide":
            assert attributes["tabindex"] == "0"
            assert attributes["role"] == "region"
            assert attributes.get("aria-label") or attributes.get("aria-labelledby")


def test_a_page_loads_nothing_and_runs_only_its_own_script(page):
    document = Document(page)
    policy = next(a["content"] for a in document.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe" not in policy
    hashes = {"style": re.search("style-src '(.+?)'", policy)[1], "script": re.search("script-src '(.+?)'", policy)[1]}
    run = [(kind, text) for kind, attributes, text in document.raw if attributes.get("type") != "application/json"]
    assert [kind for kind, _ in run] == ["style", "script"]
    for kind, text in run:
        assert hashes[kind] == "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert not re.search(r"url\((?![\"']?#)", text)  # a filter of the page itself is no address
        assert "@import" not in text
    for tag, attributes in document.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert (attributes.get("src") or "data:").startswith("data:")


def test_the_same_folder_gives_the_same_bytes_wherever_it_lies(tmp_path):
    for name, make in FOLDERS.items():
        folder = make(tmp_path / name)
        first = write_report(folder).read_bytes()
        folder.rename(tmp_path / f"{name} moved")
        assert write_report(tmp_path / f"{name} moved").read_bytes() == first


@pytest.mark.parametrize("make", FOLDERS.values(), ids=FOLDERS)
def test_no_text_of_a_folder_becomes_markup(tmp_path, make):
    text = " ".join(HOSTILE[:-1])
    if make is reproduction_folder:
        honest, hostile = make(tmp_path / "honest"), make(tmp_path / "run", text)
    else:
        honest = make(tmp_path / "honest", tuple(f"name {number}" for number in range(len(HOSTILE))))
        hostile = make(tmp_path / "run", HOSTILE, label=text)
    expected, page = Document(page_of(honest)), page_of(hostile)
    document = Document(page)
    assert [tag for tag, _ in document.elements] == [tag for tag, _ in expected.elements]
    assert [set(attributes) for _, attributes in document.elements] == [set(a) for _, a in expected.elements]
    shown = "".join(document.text)
    if make is not comparison_folder:  # whose page names no image
        assert plain(text) in shown
        assert make is reproduction_folder or all(plain(name) in shown for name in HOSTILE)
    assert not [sign for sign in page if sign != "\n" and unicodedata.category(sign) in ("Cc", "Cf", "Cs")]
    for _, attributes, script in document.raw:
        if attributes.get("id") == "data":
            names = [image["name"] for image in json.loads(script)["images"]]
            assert names == [plain(name) for name in HOSTILE[: len(names)]]


@pytest.mark.parametrize("make", [check_folder, comparison_folder], ids=["check", "comparison"])
def test_every_text_of_the_configuration_is_escaped(make, tmp_path):
    folder = make(tmp_path / "run")

    def poisoned(value, key=""):
        if isinstance(value, dict):
            return {name: poisoned(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [poisoned(one, key) for one in value]
        keep = key in ("preset", "order", "kept_images", "kind") or not isinstance(value, str)
        return value if keep else f"{value}<script>alert(1)</script>\ud800"

    for place in [folder] if make is check_folder else [folder / "adebayo", folder / "random-logit"]:
        stored = json.loads((place / "config.json").read_text())
        (place / "config.json").write_text(json.dumps(poisoned(stored)))
    document = Document(page_of(folder))
    assert len(document.all("script")) == (2 if make is check_folder else 1)
    assert "⟨U+D800⟩" in "".join(document.text)


texts = st.text(st.characters(), max_size=60)


@settings(max_examples=60, deadline=None)
@given(st.recursive(texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)))
def test_json_in_the_page_is_ascii_without_signs_of_html(values):
    text = str(json_text(values))
    assert text.isascii()
    assert not set("<>&") & set(text)
    json.loads(text)


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(), max_size=2 * LONGEST))
def test_plain_text_has_no_sign_that_acts_on_its_surroundings(text):
    shown = plain(text)
    assert not [sign for sign in shown if unicodedata.category(sign)[0] == "C" or sign in "\n\r\u2028\u2029"]
    assert len(shown) <= 10 * (LONGEST + 3)
    shown.encode()


def test_plain_text_spells_control_signs_out():
    assert plain("a\u202eb\x00 c\n d") == "a⟨U+202E⟩b⟨U+0000⟩ c d"
    assert plain("Straße 数字 × σ") == "Straße 数字 × σ"


def test_a_check_tells_what_was_run_and_found(tmp_path):
    page = page_of(check_folder(tmp_path / "run"))
    text = " ".join("".join(Document(page).text).split())
    assert "Basic CNN was explained on 3 images of rendered digits by 2 methods and a control" in text
    assert "in 3 stages, from the output down" in text
    assert "1 comparison of 54 had a constant map" in text
    assert "Gradient (1)" in text
    assert "insensitive" in text
    assert "Too few images for a verdict: 3" in text
    assert "same class" in text
    assert "ceiling 0.80" in text
    assert "probatum rerun . --out ../again" in text
    assert "SHA-256 " + "0" * 64 in text
    assert "trained for this run, test accuracy 97.00%" in text


def test_photographs_of_which_the_model_is_unsure_are_named(tmp_path):
    folder = check_folder(tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    config["config"]["data"] = "photographs"
    config["data"]["images"][1]["confidence"] = 0.31
    (folder / "config.json").write_text(json.dumps(config))
    text = " ".join("".join(Document(page_of(folder)).text).split())
    assert "unsure of 1 image of 3: two (cat, 0.31)." in text
    assert "right or wrong" in text


def test_a_comparison_has_a_verdict_for_each_method_and_check(tmp_path):
    folder = comparison_folder(tmp_path / "run")
    results = folder / "random-logit" / "results.csv"
    results.write_text(re.sub(r"(edge-detector,conv1,3,\d,ssim),1.0", r"\1,0.1", results.read_text()))
    page = page_of(folder)
    text = " ".join("".join(Document(page).text).split())
    assert "2 sanity checks of basic CNN on rendered digits" in text
    assert "each method was put to adebayo and random-logit" in text
    assert text.count("broken check") == len(METHODS)
    assert "random-logit: The check is broken: edge-detector never uses the model" in text
    assert "Too few images for a verdict: 3" in text
    assert "1 comparison of 54 had a constant map" in text
    assert re.search(
        r"probatum check .*--methods gradient,smoothgrad,edge-detector .*--preset adebayo,random-logit", text
    )
    rows = re.search(r'id="verdict-table">.*?</tbody>', page, re.DOTALL)[0]
    assert rows.count('<td class="verdict"') == len(METHODS) * 2
    assert {attributes["href"] for attributes in Document(page).all("a")} >= PAGES


def test_the_data_of_the_script_are_the_scores_of_the_folder(tmp_path):
    folder = check_folder(tmp_path / "run")
    document = Document(page_of(folder))
    data = next(json.loads(text) for _, attributes, text in document.raw if attributes.get("id") == "data")
    assert data["stages"] == ["Original", *STAGES]
    assert len(data["maps"]) == 2  # images
    assert [len(methods) for methods in data["maps"][0]] == [len(METHODS)] * 2  # styles
    assert len(data["maps"][0][0][0]) == 1 + len(STAGES)
    rows = (folder / "results.csv").read_text().splitlines()[1:]
    fields = [row.split(",") for row in rows]
    for image, name in enumerate(("one", "two")):
        for method, key in enumerate(METHODS):
            for stage, title in enumerate(STAGES):
                cell = [f for f in fields if f[0] == name and f[2] == key and f[3] == title and f[6] == "ssim"]
                facts = data["values"][image][method][stage]
                assert facts["scores"][0] == number(float(cell[0][7]), 4)
                assert facts["means"][0] == number(sum(float(f[7]) for f in cell) / 2, 4)
                assert ("note" in facts) == (cell[0][8] != "")


def test_a_broken_control_and_an_untrained_model_are_said_first(tmp_path):
    folder = check_folder(tmp_path / "run")
    results = (folder / "results.csv").read_text()
    (folder / "results.csv").write_text(re.sub(r"(edge-detector,conv1,3,\d,ssim),1.0", r"\1,0.1", results))
    config = json.loads((folder / "config.json").read_text())
    config["config"]["weights"] = "none"
    (folder / "config.json").write_text(json.dumps(config))
    page = page_of(folder)
    assert "The check is broken: edge-detector" in page
    assert "its weights are random" in page


def test_a_run_without_maps_or_with_missing_scores_has_a_page(tmp_path):
    bare = check_folder(tmp_path / "bare", kept=0)
    page = page_of(bare)
    assert "This run kept no maps." in page
    assert 'id="data"' not in page
    folder = check_folder(tmp_path / "holes", kept=1)
    results = (folder / "results.csv").read_text()
    (folder / "results.csv").write_text(re.sub(r"(one,0,gradient,conv1,3,0,ssim),[^,]+", r"\1,nan", results))
    page = page_of(folder)
    assert "1 score of 108 do" in page
    assert "The answer, method by method" in page  # from the other images


def test_a_map_that_is_not_finite_is_left_empty(tmp_path):
    folder = check_folder(tmp_path / "run", kept=1)
    with np.load(folder / "maps" / "000.npz") as stored:
        maps = {name: stored[name] for name in stored.files}
    maps["gradient"][2] = np.nan
    np.savez(folder / "maps" / "000.npz", **maps)
    document = Document(page_of(folder))
    data = next(json.loads(text) for _, attributes, text in document.raw if attributes.get("id") == "data")
    assert [one is None for one in data["maps"][0][0][0]] == [False, False, True, False]


@pytest.mark.parametrize("damage", ["empty", "config", "maps", "shape", "scorecard"])
def test_an_incomplete_folder_is_refused_and_left_as_it_was(tmp_path, damage):
    folder = tmp_path / "run"
    if damage == "empty":
        folder.mkdir()
    elif damage == "scorecard":
        (reproduction_folder(folder) / "scorecard.json").write_text("[{}]")
    else:
        check_folder(folder)
        if damage == "config":
            (folder / "config.json").write_text('{"config": []}')
        elif damage == "maps":
            (folder / "maps" / "001.npz").unlink()
        else:
            np.savez(folder / "maps" / "000.npz", **{name: np.zeros((1, 3, 4, 4), np.float32) for name in METHODS})
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(InvalidInput):
        write_report(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_reproduction_shows_chance_and_share_beside_raw_scores(tmp_path):
    folder = reproduction_folder(tmp_path / "run")
    levels = read_levels(folder / "figure1" / "levels.csv")
    one = next(each for each in levels if (each.method, each.metric) == ("gradient", "ssim"))
    assert one.chance == pytest.approx(0.05)  # as in the scores of the folder
    assert one.share == pytest.approx((one.score - one.chance) / (one.ceiling - one.chance))
    text = "".join(Document(page_of(folder)).text)
    assert "more than half, after conv1" in text
    for value in (one.score, one.chance, one.ceiling, one.share):
        assert f"{value:.2f}".replace("-", "−") in text
    for path in (folder / "figure1").iterdir():
        path.unlink()
    assert "beside chance" not in page_of(folder)


def test_a_reproduction_shows_its_scorecard_and_figures(tmp_path):
    folder = reproduction_folder(tmp_path / "run")
    document = Document(page_of(folder))
    text = " ".join("".join(document.text).split())
    assert "Of its claims, 1 reproduced, 1 not reproduced, 1 undecided; 1 of 1 self-tests passed." in text
    assert "Figure 2 of the paper · maps" in text
    assert "Figure 10 of the paper · curves" in text
    assert "Here: a small network. In the paper: Figure 2." in text
    assert '<td class="numeric"><bdi>0.25</bdi></td>' in page_of(folder)
    first, second = text.index("In the paper: Figure 2."), text.index("In the paper: Figure 10")
    assert (
        first < text.index("undecided", first) < second < text.index("not reproduced", second)
    )  # claims by experiment
    assert "probatum reproduce somebody2020 figure1 --seed 3" in text
    assert len([a for a in document.all("img") if a["src"].startswith("data:image/webp")]) == 3


def test_all_figures_are_on_the_page_however_many(tmp_path):
    folder = reproduction_folder(tmp_path / "run")
    for budget, width in ((10**6, 200), (10, 50)):
        figures, unreadable = reproduction._figures(folder, budget, widths=(200, 50))
        assert [shown for _, (_, shown, _) in figures] == [width] * 3
        assert unreadable == []


def test_a_figure_outside_the_folder_or_that_is_none_is_not_shown(tmp_path):
    folder = reproduction_folder(tmp_path / "run")
    outside = tmp_path / "secret.png"
    shutil.copy(folder / "figures" / "figure1.png", outside)
    (folder / "figures" / "link.png").symlink_to(outside)
    (folder / "figures" / "text.png").write_text("<script>alert(1)</script>")
    page = page_of(folder)
    assert "link.png" not in page
    assert "1 figure cannot be read: text.png" in page
    assert stored_figure(folder / "figures" / "text.png") is None


def test_an_explanation_has_a_page_with_and_without_pictures(tmp_path):
    with_pictures = page_of(explanation_folder(tmp_path / "a"))
    without = page_of(explanation_folder(tmp_path / "b", pictures=False))
    for page in (with_pictures, without):
        assert "Basic CNN was explained on 2 images by 2 methods" in page
        assert '<input type="range"' not in page
        assert "rerun" not in page  # config.json does not say from what the maps came
    assert len(without) < len(with_pictures)
    config = json.loads((tmp_path / "b" / "config.json").read_text())
    (tmp_path / "b" / "config.json").write_text(json.dumps(config | {"sources": ["my cat.jpg"], "target": 3}))
    assert "probatum attribute &#39;my cat.jpg&#39; --weights none" in page_of(tmp_path / "b")


def test_maps_shrink_until_they_fit_and_then_images_are_left_out():
    generator = np.random.default_rng(0)
    maps = [generator.normal(size=(3, 1, 160, 120)).astype(np.float32)]
    full = sheet(2, lambda _: maps, ("abs-normalized",))
    assert (full.side, full.original_side, full.left_out) == (160, 160, 0)
    length = sum(len(one) for page in full.maps for one in page[0][0])
    smaller = sheet(2, lambda _: maps, ("abs-normalized",), budget=length // 2)
    assert 48 < smaller.side < 160
    assert smaller.left_out == 0
    assert sum(len(one) for page in smaller.maps for one in page[0][0]) <= length // 2
    few = sheet(5, lambda _: maps, ("abs-normalized",), budget=5000)
    assert few.side == 48
    assert len(few.maps) + few.left_out == 5
    assert 1 <= len(few.maps) < 5


def test_small_maps_keep_every_pixel():
    from io import BytesIO

    from PIL import Image

    values = np.linspace(0, 1, 28 * 28, dtype=np.float32).reshape(28, 28)
    encoded = colored(values, "abs-normalized", 224)
    image = np.asarray(Image.open(BytesIO(base64.b64decode(encoded.split(",")[1]))))
    assert image.shape == (28, 28, 3)
    assert tuple(image[0, 0]) == (255, 255, 255)  # white is nothing
    assert tuple(image[-1, -1]) == (127, 0, 16)


def test_reduction_leaves_out_only_what_is_not_finite():
    maps = np.ones((3, 2, 4, 4), dtype=np.float32)
    maps[1, 0, 0, 0] = np.inf
    shown = reduced(maps, "diverging")
    assert np.isnan(shown).any(axis=(1, 2)).tolist() == [False, True, False]


def test_curves_break_where_a_mean_is_missing():
    nan = np.array([0.5, np.nan, 0.25, 0.5])
    scale = scale_of([Interval(nan, nan, nan)], [np.nan], "similarity")
    drawn = panel(Interval(nan, nan, nan), np.nan, scale, ("a", "b", "c", "d"))
    assert re.sub("[^ML]", "", drawn.line) == "MML"
    assert len(drawn.dots) == 3
    assert drawn.ceiling is None
    assert drawn.dots[1][2] == "c: 0.25 [0.25, 0.25]"


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [(0.1, 0.9, "similarity"), (-0.4, 0.9, "similarity"), (0, 0.003, "distance"), (2, 70, "distance"), (-3, 1, "rise")],
)
def test_a_scale_holds_its_scores_with_a_few_ticks(low, high, kind):
    ends = np.array([low, high])
    scale = scale_of([Interval(ends, ends, ends)], [], kind)
    assert scale.low <= low
    assert scale.high >= high
    assert 3 <= len(scale.ticks) <= 9
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)
    assert 0 in scale.ticks


def test_numbers_and_words():
    assert number(-0.004) == "0.00"
    assert number(-0.456) == "−0.46"
    assert number(float("nan")) == "–"
    assert count(1, "image") == "1 image"
    assert count(12000, "map") == "12,000 maps"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert short_name("/home/x/weights.pt") == "weights.pt"
    assert settings_in_words({"class": "A", "n": 2, "title": "t", "inner": {"class": "B"}, "none": None}) == "A(n 2, B)"


def test_the_command_line_of_a_configuration_is_quoted():
    line = command("check", {"data": "my images; rm x", "methods": ["gradient", "grad-cam"], "seed": 0, "trials": 2})
    assert line == "probatum check --data 'my images; rm x' --methods gradient,grad-cam --trials 2"
