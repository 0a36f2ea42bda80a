"""A comparison of presets is drawn from its folder alone."""

import pytest
from matplotlib.image import imread

from probatum.errors import InvalidInput
from probatum.experiments import CheckConfig, compare_presets
from probatum.report.comparison import draw_comparison


def test_a_comparison_draws_its_table_and_each_run(tmp_path):
    config = CheckConfig(
        model="mlp", weights="none", images=2, methods=("gradient", "edge-detector"), keep_maps=1, device="cpu"
    )
    compare_presets(config, ("emprt", "random-logit"), tmp_path)
    named = []
    written = draw_comparison(tmp_path, named.append)
    assert written[0] == tmp_path / "verdicts.png"
    assert imread(written[0]).shape[0] > 200
    assert (tmp_path / "emprt" / "figures" / "curves-entropy-rise.png") in written
    assert (tmp_path / "random-logit" / "figures" / "curves-ssim.png") in written
    assert all(path.is_file() for path in written)
    assert written[-1] == tmp_path / "report.html"
    assert {name.split(":")[0] for name in named} == {"emprt", "random-logit"}
    first = written[0].read_bytes()
    assert draw_comparison(tmp_path)[0].read_bytes() == first
    with pytest.raises(InvalidInput, match="not 'comparison'"):
        draw_comparison(tmp_path / "emprt")
