import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from probatum.errors import InvalidInput, ModelError
from probatum.models import PAPER_MNIST, TrainingConfig, accuracy, predict, train


def task(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes: the brighter half of a noisy 4x4 image."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=generator)
    images = 0.3 * torch.randn(count, 1, 4, 4, generator=generator)
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label : 2 * label + 2] += 1
    return images, labels


def network(seed: int = 0, dropout: float = 0.0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        layers = [nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 2)]
        return nn.Sequential(*layers).eval()


CONFIG = TrainingConfig(epochs=3, batch_size=16, learning_rate=0.01)
TRAIN, TEST = task(200, 0), task(101, 1)


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in model.state_dict().values()])


def test_learns_an_easy_task():
    model = network()
    before = accuracy(model, *TEST)
    report = train(model, *TRAIN, *TEST, CONFIG)
    assert before < 0.9
    assert report.best_accuracy == accuracy(model, *TEST) > 0.99
    assert [record.epoch for record in report.history] == [1, 2, 3]
    assert report.history[2].loss < report.history[0].loss
    assert report.reached_target is None


def test_equals_a_plain_loop_with_sgd():
    config = TrainingConfig(
        epochs=2, batch_size=7, learning_rate=0.1, optimizer="sgd", momentum=0.5, weight_decay=0.01, schedule="linear"
    )
    images, labels = (part[:20] for part in task(20, 2))
    images = images.double()
    model, replica = (nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).double() for _ in range(2))
    replica.load_state_dict(model.state_dict())
    report = train(model, images, labels, images, labels, config)
    velocity = [torch.zeros_like(parameter) for parameter in replica.parameters()]
    order = torch.Generator().manual_seed(0)
    states, step = [], 0
    for _ in range(2):
        rows = torch.randperm(20, generator=order)
        for start in (0, 7, 14):
            batch = rows[start : start + 7]
            gradients = torch.autograd.grad(
                F.cross_entropy(replica(images[batch]), labels[batch]), tuple(replica.parameters())
            )
            with torch.no_grad():
                for index, (parameter, gradient) in enumerate(zip(replica.parameters(), gradients, strict=True)):
                    velocity[index] = 0.5 * velocity[index] + gradient + 0.01 * parameter
                    parameter -= 0.1 * (1 - step / 6) * velocity[index]
            step += 1
        states.append(weights(replica))
    torch.testing.assert_close(weights(model), states[report.best.epoch - 1], rtol=1e-12, atol=1e-12)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_world_as_found():
    first, second, other = (network(dropout=0.5) for _ in range(3))
    before = torch.get_rng_state()
    train(first, *TRAIN, *TEST, CONFIG)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    train(second, *TRAIN, *TEST, CONFIG)
    train(other, *TRAIN, *TEST, dataclasses.replace(CONFIG, seed=1))
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other))
    assert not any(module.training for module in first.modules())
    assert all(parameter.grad is None for parameter in first.parameters())


def test_the_best_epoch_is_kept_not_the_last():
    # The better the task is learnt, the worse the answers to the wrong labels
    wrong = 1 - TEST[1]
    model = network(seed=1)
    report = train(model, *TRAIN, TEST[0], wrong, dataclasses.replace(CONFIG, learning_rate=0.001))
    assert report.best is report.history[0]
    assert report.final_accuracy < report.best_accuracy == accuracy(model, TEST[0], wrong)


def test_stops_at_the_target_on_the_monitored_images():
    images, labels = TRAIN
    wrong = (TEST[0], 1 - TEST[1])
    config = dataclasses.replace(CONFIG, epochs=50, target_accuracy=0.97)
    on_train = train(network(), images, labels, *wrong, dataclasses.replace(config, monitor="train"))
    assert on_train.reached_target
    assert len(on_train.history) < 50
    assert all(record.accuracy < 0.97 for record in on_train.history[:-1])
    on_test = train(network(), images, labels, *wrong, dataclasses.replace(config, epochs=3))
    assert on_test.reached_target is False
    assert len(on_test.history) == 3


class Interruption(Exception):
    """What stops a training."""


def stop_in_the_second_epoch_from_here():
    """A progress that stops a training in the second epoch that it sees begin."""
    seen = set()

    def progress(done, total, what):
        seen.add(what)
        if len(seen) == 2:
            raise Interruption

    return progress


@pytest.mark.parametrize("change", [{}, {"optimizer": "sgd", "schedule": "linear"}, {"target_accuracy": 0.97}])
def test_a_training_that_is_interrupted_after_every_epoch_ends_in_the_same_bits(change, tmp_path):
    images, labels = (torch.cat([values] * 25) for values in TRAIN)
    config = dataclasses.replace(CONFIG, batch_size=500, epochs=4, learning_rate=1e-3, **change)
    whole, file = network(dropout=0.5), tmp_path / "training.unfinished"
    expected = train(whole, images, labels, *TEST, config)
    stops = 0
    report = None
    while report is None and stops < config.epochs:
        resumed = network(dropout=0.5)  # as a new process has it
        try:
            report = train(resumed, images, labels, *TEST, config, stop_in_the_second_epoch_from_here(), file)
        except Interruption:
            stops += 1
    assert stops == len(expected.history) - 1 > 0
    assert report == expected
    assert torch.equal(weights(resumed), weights(whole))


@pytest.mark.parametrize("content", [b"", b"no state", None])
def test_a_training_that_cannot_be_resumed_begins_again(content, tmp_path):
    file = tmp_path / "training.unfinished"
    if content is None:  # of another network
        torch.save({"parts": {"model": nn.Linear(1, 1).state_dict()}, "history": []}, file)
    else:
        file.write_bytes(content)
    whole, again = network(dropout=0.5), network(dropout=0.5)
    assert train(again, *TRAIN, *TEST, CONFIG, unfinished=file) == train(whole, *TRAIN, *TEST, CONFIG)
    assert torch.equal(weights(again), weights(whole))


def test_a_folder_that_cannot_be_written_does_not_stop_a_training(tmp_path):
    (tmp_path / "file").touch()
    images, labels = (torch.cat([values] * 25) for values in TRAIN)
    config = dataclasses.replace(CONFIG, batch_size=1_000)
    report = train(network(), images, labels, *TEST, config, unfinished=tmp_path / "file" / "training.unfinished")
    assert len(report.history) == config.epochs


def test_frozen_parameters_stay():
    model = network()
    model[1].requires_grad_(False)
    kept = model[1].weight.clone()
    train(model, *TRAIN, *TEST, CONFIG)
    assert torch.equal(model[1].weight, kept)
    with pytest.raises(ModelError, match="nothing to train"):
        train(model.requires_grad_(False), *TRAIN, *TEST, CONFIG)


def test_progress_counts_every_step():
    calls = []
    train(network(), *TRAIN, *TEST, CONFIG, progress=lambda *call: calls.append(call))
    assert [call[0] for call in calls] == list(range(1, 3 * 13 + 1))
    assert {call[1] for call in calls} == {3 * 13}
    assert [call[2] for call in calls[12:14]] == ["epoch 1 of 3", "epoch 2 of 3"]


def test_divergence_is_an_error():
    config = TrainingConfig(epochs=3, batch_size=16, learning_rate=1e30, optimizer="sgd")
    with pytest.raises(ModelError, match="lower learning_rate"):
        train(nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Linear(8, 2)), *TRAIN, *TEST, config)


def test_predict_and_accuracy_ignore_the_batch_size_and_restore_the_mode():
    model = network(dropout=0.5).train()
    whole = predict(model, TEST[0], batch_size=1000)
    assert torch.equal(whole, predict(model, TEST[0], batch_size=7))
    assert all(module.training for module in model.modules())
    assert accuracy(model, *TEST, batch_size=3) == (whole == TEST[1]).double().mean().item()


def test_gradients_that_the_caller_left_do_not_count():
    clean, used = network(), network()
    used(TRAIN[0]).sum().backward()
    train(clean, *TRAIN, *TEST, CONFIG)
    train(used, *TRAIN, *TEST, CONFIG)
    assert torch.equal(weights(clean), weights(used))


def test_wrong_inputs():
    with pytest.raises(InvalidInput, match=r"labels reach 0\.\.2, the model has classes 0\.\.1"):
        train(network(), TRAIN[0], 2 * TRAIN[1], *TEST, CONFIG)
    with pytest.raises(InvalidInput, match="0 images"):
        accuracy(network(), TEST[0][:0], TEST[1][:0])
    with pytest.raises(InvalidInput, match="training images"):
        train(network(), TRAIN[0][:0], TRAIN[1][:0], *TEST, CONFIG)


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", 0), ("batch_size", 0), ("learning_rate", 0.0), ("momentum", 1.0), ("target_accuracy", 1.5)],
)
def test_configurations_out_of_range(field, value):
    with pytest.raises(InvalidInput, match=field):
        dataclasses.replace(CONFIG, **{field: value})


def test_the_papers_configuration():
    expected = TrainingConfig(epochs=50, batch_size=50, learning_rate=1e-4, optimizer="adam", schedule="constant")
    assert expected == PAPER_MNIST
