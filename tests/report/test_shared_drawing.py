"""The processes of one run share its figures: each is drawn once, and the page is written last."""

import torch.distributed as dist
from report_folders import check_folder

from probatum.report.run import draw_run
from probatum.runs.ranks import Ranks


def test_two_processes_draw_what_one_draws(tmp_path, monkeypatch):
    monkeypatch.setattr(Ranks, "barrier", lambda ranks: None)  # one after the other, in this process
    store, folder = dist.HashStore(), check_folder(tmp_path / "run", ("one",), kept=1, trials=1)
    first = Ranks(0, 2, counters=store)
    store.add("probatum/taken/0", 3)  # as if the first had taken three figures
    drawn = draw_run(folder, ranks=Ranks(1, 2, counters=store))
    page = draw_run(folder, ranks=first)
    assert [path.name for path in page] == ["report.html"]
    alone = draw_run(folder)
    assert drawn == alone[3:-1]
    assert alone[-1] == page[0]
