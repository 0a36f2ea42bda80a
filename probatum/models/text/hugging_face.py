"""Sequence classifiers of Hugging Face, by hub name or from a folder; requires the extra `text`."""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from probatum.engine import most_tokens
from probatum.errors import InvalidInput, MissingFile, ModelError
from probatum.models.stages import Stages
from probatum.models.text.encoder import EmbeddingClassifier
from probatum.models.text.model import TextModel
from probatum.models.text.tokenizer import Encoded, check_length

_PROBE = "a good film"
_UNBOUNDED = 10**6  # tokenizers without a limit report one larger than any model's


class HuggingFaceClassifier(EmbeddingClassifier):
    """A transformers model as an `EmbeddingClassifier`. Embeddings replace only the word embeddings.

    The model adds positions and token types itself.

    Args:
        model: a sequence classifier, stored as `model`: the paths of its parameters start with "model.".
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def embed(self, ids: Int64[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens dimensions"]:
        """Return the word embeddings."""
        vectors: Tensor = self._part("get_input_embeddings")()(ids)
        return vectors

    def forward(
        self, inputs: Int64[Tensor, "batch tokens"] | Float[Tensor, "batch tokens dimensions"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits; attention ignores padding in ids."""
        given = {"inputs_embeds" if inputs.is_floating_point() else "input_ids": inputs}
        pad = self._part("config").pad_token_id
        if pad is not None and not inputs.is_floating_point():
            given["attention_mask"] = (inputs != pad).long()
        logits: Tensor = self.model(**given).logits
        return logits

    def _part(self, name: str) -> Any:
        return getattr(self.model, name)


@dataclass(frozen=True, eq=False)
class HuggingFaceTokenizer:
    """A transformers tokenizer as a `Tokenizer`."""

    tokenizer: Any
    max_tokens: int

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return int(self.tokenizer.pad_token_id)

    def encode(self, sentence: str) -> Encoded:
        """Return the tokens with the model's special tokens; text that looks like a special token stays text.

        Raises:
            InvalidInput: the sentence has no words, or too many.
        """
        found = self.tokenizer(
            sentence, return_special_tokens_mask=True, split_special_tokens=True, truncation=False, verbose=False
        )
        ids, special = found["input_ids"], found["special_tokens_mask"]
        check_length(sentence, len(ids), sum(special), self.max_tokens)
        tokens = self.tokenizer.convert_ids_to_tokens(ids)
        return Encoded(tuple(ids), tuple(tokens), tuple(map(bool, special)))


def load_text_classifier(source: str, new_head: Sequence[str] | None = None, seed: int = 0) -> TextModel:
    """Load a sequence classifier with its tokenizer, in eval mode on the CPU.

    Weights are read only from safetensors files, and code of the checkpoint is never run. Attention is not fused, so
    that gradients are exact.

    Args:
        source: a folder written by `save_pretrained`, or a name on the Hugging Face hub, which is downloaded once.
        new_head: class names; a checkpoint without a matching head gets one with random weights, to be fine-tuned.
        seed: of those weights; the global random state does not change.

    Raises:
        InvalidInput: no such folder, or tokenizer and model do not match.
        ModelError: transformers is not installed, the model cannot be loaded, is not a classifier, or gives different
            logits for embeddings than for the ids they come from.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir() and (folder.is_absolute() or source.startswith((".", "~")) or source.count("/") > 1):
        raise MissingFile("folder", source)
    try:
        transformers = importlib.import_module("transformers")
    except ImportError as error:
        raise ModelError("Hugging Face models need transformers: pip install 'probatum[text]'") from error
    where = str(folder) if folder.is_dir() else source
    options: dict[str, Any] = {"local_files_only": folder.is_dir(), "trust_remote_code": False}
    head: dict[str, Any] = {}
    if new_head is not None:
        head = {"id2label": dict(enumerate(new_head)), "label2id": {name: row for row, name in enumerate(new_head)}}
    with quiet(transformers), torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(where, **options)
            model, loading = transformers.AutoModelForSequenceClassification.from_pretrained(
                where, attn_implementation="eager", use_safetensors=True, output_loading_info=True, **options, **head
            )
        except Exception as error:  # many kinds, each with a long message
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(
                f"{source} cannot be loaded as a sequence classifier with safetensors weights ({reason})"
            ) from error
        network = HuggingFaceClassifier(model).eval()
        _check_weights(source, network, loading, headless=new_head is not None)
        found = HuggingFaceTokenizer(tokenizer, _max_tokens(model, tokenizer))
        _check_tokenizer(source, model, tokenizer)
        _check_embeddings(source, network, found)
    names = tuple(str(model.config.id2label[index]) for index in range(model.config.num_labels))
    return TextModel(Path(where).name, network, found, names, _stages(model))


def is_classifier(source: str) -> bool:
    """True if a checkpoint was saved as a sequence classifier, and so has a head that needs no fine-tuning.

    Raises:
        ModelError: transformers is not installed, or the checkpoint has no configuration.
    """
    try:
        transformers = importlib.import_module("transformers")
    except ImportError as error:
        raise ModelError("Hugging Face models need transformers: pip install 'probatum[text]'") from error
    folder = Path(source).expanduser()
    where, local = (str(folder), True) if folder.is_dir() else (source, False)
    try:
        options = {"local_files_only": local, "trust_remote_code": False}
        config = transformers.AutoConfig.from_pretrained(where, **options)
    except Exception as error:  # many kinds, each with a long message
        raise ModelError(f"{source} has no configuration that transformers can read") from error
    return any(name.endswith("ForSequenceClassification") for name in config.architectures or ())


@contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Suppress progress bars, advice and connection retries while a model loads."""
    own = transformers.utils.logging
    voices = (own, importlib.import_module("huggingface_hub.utils.logging"))
    levels, bars = [voice.get_verbosity() for voice in voices], own.is_progress_bar_enabled()
    for voice in voices:
        voice.set_verbosity_error()
    own.disable_progress_bar()
    try:
        yield
    finally:
        for voice, level in zip(voices, levels, strict=True):
            voice.set_verbosity(level)
        if bars:
            own.enable_progress_bar()


def _check_weights(source: str, network: HuggingFaceClassifier, loading: dict[str, Any], *, headless: bool) -> None:
    missing = sorted(loading["missing_keys"])
    if headless:
        missing = [name for name in missing if name.startswith(f"{network.model.base_model_prefix}.")]
    if missing:
        raise ModelError(f"{source} has no {missing[0]}: it is not a sequence classifier; fine-tune it as one first")
    for name, parameter in network.named_parameters():
        if not bool(parameter.isfinite().all()):
            raise InvalidInput(f"{source}: {name} holds values that are not finite")


def _check_tokenizer(source: str, model: Any, tokenizer: Any) -> None:
    """Check that the tokenizer belongs to the model."""
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise InvalidInput(
            f"tokenizer and model of {source} do not match: {len(tokenizer)} tokens, {rows} embeddings; "
            "use the tokenizer that the model was trained with"
        )
    # Decoders, whose head is called "score", use the last token and need no [CLS].
    needed = ("pad_token",) if hasattr(model, "score") else ("pad_token", "cls_token")
    for name in needed:
        if getattr(tokenizer, name) is None:
            raise InvalidInput(f"the tokenizer of {source} has no {name}, which the model needs; set it and save again")
    if model.config.num_labels < 2:
        raise ModelError(f"{source} has one output: it is a regression, not a classifier")


def _check_embeddings(source: str, network: HuggingFaceClassifier, tokenizer: HuggingFaceTokenizer) -> None:
    """Check that embeddings give the same logits as the ids they come from."""
    ids = torch.tensor([tokenizer.encode(_PROBE).ids])
    try:
        with torch.no_grad():
            expected, given = network(ids), network(network.embed(ids))
    except Exception as error:  # models that do not accept embeddings raise any kind of error
        raise ModelError(f"{source} ({type(network.model).__name__}) does not accept embeddings: {error}") from error
    if not torch.allclose(expected, given, rtol=1e-4, atol=1e-5):
        raise ModelError(f"{source} ({type(network.model).__name__}) gives other logits for embeddings than for ids")


def _max_tokens(model: Any, tokenizer: Any) -> int:
    """Return the maximum number of tokens that both the model's positions and the tokenizer allow."""
    configured = getattr(model.config, "max_position_embeddings", None)
    limits = [tokenizer.model_max_length, configured or _UNBOUNDED, most_tokens(model) or _UNBOUNDED]
    return int(min(*limits, _UNBOUNDED))


def _stages(model: Any) -> Stages | None:
    """Return the stages of Kokhlikyan et al. (2021) for a model like BERT, with its other embeddings last."""
    prefix = model.base_model_prefix
    backbone: Any = getattr(model, prefix, None)
    layers: Any = getattr(getattr(backbone, "encoder", None), "layer", None)
    embeddings: Any = getattr(backbone, "embeddings", None)
    if layers is None or not hasattr(embeddings, "word_embeddings"):
        return None
    heads = [name for name, _ in model.named_children() if name != prefix]
    blocks = [f"{prefix}.encoder.layer.{number}" for number in reversed(range(len(layers)))]
    beside_words = [
        f"{prefix}.embeddings.{name}" for name, _ in embeddings.named_children() if name != "word_embeddings"
    ]
    table = [(path, [path]) for path in (*reversed(heads), f"{prefix}.pooler", *blocks)]
    table.append((f"{prefix}.embeddings", beside_words))
    names = [name for name, _ in model.named_parameters()]
    stages: list[tuple[str, tuple[str, ...]]] = []
    known = {f"{prefix}.embeddings.word_embeddings.weight"}
    for title, paths in table:
        held = {path: [name for name in names if name.startswith(f"{path}.")] for path in paths}
        known.update(name for found in held.values() for name in found)
        if any(held.values()):
            stages.append((title, tuple(f"model.{path}" for path in paths if held[path])))
    return tuple(stages) if known.issuperset(names) else None
