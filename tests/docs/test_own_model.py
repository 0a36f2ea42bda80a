"""The network of the page on one's own models is one that the terminal takes."""

import torch
from code_blocks import python_blocks

from probatum.models import load_model, model_spec


def test_the_file_of_the_page_is_a_model(code_folder):
    (code_folder / "net.py").write_text(next(block for block in python_blocks("own-model.md") if "# net.py" in block))
    spec = model_spec("./net.py:make")
    assert (spec.input_size, spec.class_names) == (32, ("cat", "dog"))
    assert load_model("./net.py:make")(torch.zeros(1, 3, 32, 32)).shape == (1, 2)
