"""DeepLIFT of ConvNet forwards: what one input unit contributes is followed unit by unit from layer to layer.

The package goes backwards from the logit; here each input's share of every difference from the baseline goes up.
"""

import math

import torch
from torch.nn import functional as F


def multipliers(model, image, start, target):
    """m of each input unit: its share of the logit's difference for a difference of one."""
    units = image.numel()
    shares = torch.eye(units, dtype=image.dtype).reshape(units, *image.shape)

    def convolve(layer, values):
        return F.conv2d(values[None], layer.weight, layer.bias, padding=1)[0]

    x, y = (convolve(model.conv1, each) for each in (image, start))
    shares = F.conv2d(shares, model.conv1.weight, padding=1)

    scale = model.bn1.weight / torch.sqrt(model.bn1.running_var + model.bn1.eps)
    shift = model.bn1.bias - scale * model.bn1.running_mean
    x, y = (scale[:, None, None] * each + shift[:, None, None] for each in (x, y))
    shares = shares * scale[:, None, None]

    shares, x, y = pool(*rectify(shares, x, y))

    shares = F.conv2d(shares, model.conv2.weight, padding=1) + shares
    shares, x, y = rectify(shares, *(convolve(model.conv2, each) + each for each in (x, y)))

    shares = F.conv2d(shares, model.conv3.weight, padding=1)
    shares, x, y = rectify(shares, *(convolve(model.conv3, each) for each in (x, y)))

    shares, x, y = (each.mean((-2, -1)) for each in (shares, x, y))
    shares, x, y = rectify(shares, x - 0.01, y - 0.01)
    return (shares @ model.head.weight[target]).reshape(image.shape).detach()


def rectify(shares, x, y):
    """Each unit's quotient by hand."""
    slopes = []
    for point, start in zip(x.flatten().tolist(), y.flatten().tolist(), strict=True):
        if point == start:
            slopes.append(float(point > 0))
        else:
            slopes.append((max(point, 0) - max(start, 0)) / (point - start))
    return shares * torch.tensor(slopes, dtype=x.dtype).reshape(x.shape), x.clamp(min=0), y.clamp(min=0)


def pool(shares, x, y, size=3, stride=2):
    """Each window by hand: its difference goes to the place of the higher of the two maxima."""
    rows, columns = ((side - size) // stride + 1 for side in x.shape[1:])
    pooled = [torch.zeros(x.shape[0], rows, columns, dtype=x.dtype) for _ in range(2)]
    result = torch.zeros(len(shares), x.shape[0], rows, columns, dtype=x.dtype)
    for c in range(x.shape[0]):
        for i in range(rows):
            for j in range(columns):
                places = [(c, i * stride + k, j * stride + n) for k in range(size) for n in range(size)]
                best, best_start = max(places, key=lambda p: float(x[p])), max(places, key=lambda p: float(y[p]))
                high, low = float(x[best]), float(y[best_start])
                place = best if high >= low else best_start
                way = float(x[place]) - float(y[place])
                result[:, c, i, j] = shares[(slice(None), *place)] * ((high - low) / way if way else 1.0)
                pooled[0][c, i, j], pooled[1][c, i, j] = high, low
    assert not math.isnan(float(result.sum()))
    return result, *pooled
