"""In a notebook long work shows one bar by itself; a script and a terminal show nothing."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from nets import ConvNet, images, seeded

from probatum import attribute, progress
from probatum.attributions import SmoothGrad
from probatum.experiments import quality_scores, sanity_check
from probatum.progress import NotebookBar, shows_progress, silent

SHAPE = (2, 12, 12)


class Outputs:
    """IPython as far as a bar knows it: the contents of each output area, in their order."""

    def __init__(self, monkeypatch, shell):
        self.areas: list[list[dict[str, str]]] = []
        ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
        ipython.get_ipython = lambda: shell
        display.display = self.display
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", display)

    def display(self, data, *, raw, display_id):
        assert raw
        assert display_id
        area = [data]
        self.areas.append(area)
        return SimpleNamespace(update=lambda data, raw: area.append(data))


@pytest.fixture
def notebook(monkeypatch):
    monkeypatch.setattr(progress, "QUICK_SECONDS", 0.0)
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0.0)
    return Outputs(monkeypatch, SimpleNamespace(kernel=object()))


@pytest.fixture(scope="module")
def net():
    return seeded(ConvNet)


CALLS = {
    "sanity_check": lambda net, **how: sanity_check(net, images(3, SHAPE), methods=["gradient"], **how),
    "quality_scores": lambda net, **how: quality_scores(net, images(2, SHAPE), methods=["gradient"], **how),
    "attribute": lambda net, **how: attribute(net, images(2, SHAPE), methods=["gradient"], **how),
    "method": lambda net, **how: SmoothGrad(samples=4)(net, images(2, SHAPE), chunk=2, **how),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_notebook_shows_one_bar_and_takes_it_away(call, net, notebook):
    call(net)
    (shown,) = notebook.areas
    assert "<progress" in shown[0]["text/html"]
    assert shown[-1] == {"text/html": "", "text/plain": ""}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_callback_replaces_the_bar_of_all_that_is_called(call, net, notebook):
    calls = []
    call(net, progress=lambda *report: calls.append(report))
    call(net, progress=silent)
    assert calls
    assert notebook.areas == []


@pytest.mark.parametrize("shell", [None, SimpleNamespace()], ids=["no shell", "a terminal's shell"])
def test_nothing_is_shown_elsewhere(shell, net, monkeypatch, capfd):
    outputs = Outputs(monkeypatch, shell)
    monkeypatch.setattr(progress, "QUICK_SECONDS", 0.0)
    for call in CALLS.values():
        call(net)
    assert outputs.areas == []
    assert capfd.readouterr() == ("", "")


def test_the_bar_goes_when_the_work_fails_and_the_next_one_comes(notebook):
    @shows_progress
    def work(progress=None):
        progress(1, 2, "half")
        raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            work()
    assert [area[-1]["text/html"] for area in notebook.areas] == ["", ""]
    assert "50% half" in notebook.areas[0][0]["text/plain"]


def test_a_bar_tells_what_is_done_and_how_long_it_takes(monkeypatch):
    outputs, now = Outputs(monkeypatch, None), [0.0]
    bar = NotebookBar("explaining", clock=lambda: now[0])
    bar(1, 100, "<b>")
    assert outputs.areas == []  # quick work shows none
    for now[0], done in ((10.0, 10), (10.1, 11), (20.0, 20)):
        bar(done, 100, "<b>")
    (shown,) = outputs.areas
    assert [each["text/plain"] for each in shown] == ["10% <b>, about 2 min left", "20% <b>, about 80 s left"]
    assert "&lt;b&gt;" in shown[0]["text/html"]
