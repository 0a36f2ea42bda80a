"""Each method and metric in a plain sentence, for readers who meet it on the page for the first time."""

from probatum.metrics import Kind

_SMOOTHED = "averaged over noisy copies of the image"
_LOCAL = "without the factor image minus baseline, so that it shows what the model reacts to and not what is bright"
_IG = "The mean gradient along a straight path from a baseline, such as a black image, to the image"
_DEEPLIFT = "The change of the logit against a baseline, passed back layer by layer"

METHODS_IN_WORDS: dict[str, str] = {
    "gradient": "How much the logit of the class changes when a pixel changes a little.",
    "smoothgrad": f"The gradient, {_SMOOTHED}, which removes much of its grain.",
    "smoothgrad-squared": f"The squared gradient, {_SMOOTHED}.",
    "vargrad": "The variance of the gradient over noisy copies of the image.",
    "input-x-gradient": "The gradient times the pixel. Bright pixels stand out in it whatever the weights are.",
    "input-x-gradient-sg": f"The gradient times the pixel, {_SMOOTHED}.",
    "guided-backprop": "The gradient, but each ReLU passes back positive values only. The maps are sharp; papers find "
    "that they resemble an edge detector.",
    "deconvnet": "The signal passed back by ReLUs that ignore which inputs were active.",
    "grad-cam": "The feature maps of a late layer, weighted by their gradients and enlarged to the image: a coarse map "
    "of regions.",
    "grad-cam-plus-plus": "Grad-CAM with weights that count each place where a feature map speaks for the class.",
    "hires-cam": "The features of a late layer, each times its own gradient: places that the class's logit is made of.",
    "layer-cam": "The features of a late layer, each times its own gradient where that is positive.",
    "guided-grad-cam": "Guided Backprop times Grad-CAM: sharp edges inside the regions of Grad-CAM.",
    "integrated-gradients": f"{_IG}, times the image minus the baseline. The map sums to the change of the logit.",
    "integrated-gradients-local": f"{_IG}, {_LOCAL}.",
    "integrated-gradients-sg": f"Integrated Gradients, {_SMOOTHED}.",
    "integrated-gradients-sg-joint": "Integrated Gradients over noisy copies, noise and path drawn together: cheaper "
    "than the nested average.",
    "deeplift": f"{_DEEPLIFT}.",
    "deeplift-local": f"{_DEEPLIFT}, {_LOCAL}.",
    "deeplift-shap": "DeepLIFT averaged over several baselines, which approximates Shapley values.",
    "deeplift-shap-local": f"DeepLIFT averaged over several baselines, {_LOCAL}.",
    "gradient-shap": "Integrated Gradients averaged over several baselines, by random points of the paths.",
    "gradient-shap-local": f"Integrated Gradients averaged over several baselines, {_LOCAL}.",
    "conservative-propagation": "The pixel times a gradient that holds attention weights, norms and gates constant. "
    "With the parts of the biases, the map sums to the logit.",
    "conservative-propagation-local": "The gradient with attention weights, norms and gates held constant, without "
    "the factor pixel.",
    "attention-rollout": "The attention weights of all layers multiplied: how much of each patch they carry to the "
    "logits. It looks at no class.",
    "lrp": "The logit handed back layer by layer, each layer sharing out what it received among its inputs.",
    "occlusion": "How far the logit falls when a patch of the image is covered.",
    "edge-detector": "A control: the edges of the image. It never uses the model, so its map must not change.",
}

_SSIM = "Compares brightness, contrast and structure in small windows; 1 is identical."
METRICS_IN_WORDS: dict[str, str] = {
    "ssim": _SSIM,
    "ssim-adebayo-notebook": f"{_SSIM} Settings of the authors' notebook.",
    "ssim-adebayo-issue": f"{_SSIM} Settings that the authors name in an issue of their repository.",
    "ssim-wienecke": f"{_SSIM} Settings of Wienecke et al.",
    "spearman": "Correlates the ranks of signed pixels: 1 the same order, 0 unrelated, −1 reversed.",
    "spearman-abs": "Correlates the ranks of absolute pixels: sign does not matter, only where a map is strong.",
    "pearson": "Correlates the pixels: 1 the same up to scale, 0 unrelated, −1 reversed.",
    "hog-pearson": "Correlates histograms of edge directions: high if the maps have edges at the same places.",
    "hog-spearman": "Correlates the ranks of histograms of edge directions.",
    "cosine": "The cosine of the angle between two maps: 1 the same direction, 0 unrelated.",
    "euclidean": "The distance of two maps pixel by pixel: 0 is identical.",
    "entropy-rise": "How much more complex the map becomes when the weights are random.",
}

READINGS: dict[Kind, str] = {
    "similarity": "Low is good: the map changed with the weights.",
    "distance": "High is good: the map changed with the weights.",
    "rise": "Above 0 is good: the map lost its structure with the weights.",
}
