"""Adebayo et al. 2018, "Sanity Checks for Saliency Maps": do maps depend on what a network has learned?

Differs from the paper:
    1. The preset "quick" begins and re-draws the small networks with PyTorch's initializers, the others with those of
       the authors: truncated N(0, 0.1²), biases 0.1. This matters: on 300 digits with permuted labels Gradient's ABS
       rank correlation is 0.27 with the former and 0.06 with the latter, 0.17 in the paper. The variants
       "initializer-pytorch" and "initializer-adebayo" choose. The networks are randomized several times, not once. L2
       regularization, an option of the authors' script, is left off as it is there; the variant "l2" has it.
    2. Grad-CAM is shown twice: as PAIR's `saliency` had it, which the authors used and whose sum begins with ones, and
       as published.
    3. The randomized networks are asked for the class that the trained one predicts; the authors' notebooks ask each
       for the class that it predicts itself. Accuracy is that on test images, theirs that on the first 5,000 training
       images, which they hold back; we train on the first 55,000. The variant "validation-split" does as they do.
    4. The integral of Integrated Gradients is the midpoint sum.
    5. Photographs are resized and cropped for torchvision's networks; the authors squash them to 299 × 299 pixels in
       [−1, 1], where the zero baseline is gray. The variant "inception-preprocessing" does as they do.
    6. SSIM is shown under both of the authors' settings, that of their notebook and that of their later answer; HOG has
       cells of 4 pixels on images of 28.
    7. Claims that the paper judges by eye are judged by our rules, which each finding states.
    8. Under permuted labels the signed rank correlation of Guided Backprop is 0.4 to 0.5 here, 0.12 in the paper. The
       cause is open. It is not the explained class (0.48 for the class that each network predicts), the first weights
       (0.37 with other ones for each network, 0.45 with the authors' as well), the number of memorized labels (0.46
       with 1,000 instead of 300) or the training on true labels (0.51 with 55,000 images). 55,000 memorized labels were
       not tried. A map correlates by about 0.4 with the digit itself, whatever its network learned.
"""

from probatum.reproductions.adebayo2018.edges import EDGES
from probatum.reproductions.adebayo2018.imagenet import IMAGENET
from probatum.reproductions.adebayo2018.labels import LABELS
from probatum.reproductions.adebayo2018.setting import VARIANTS
from probatum.reproductions.adebayo2018.simple import SIMPLE
from probatum.reproductions.adebayo2018.weights import CASCADING, INDEPENDENT
from probatum.reproductions.base import Paper

PAPER = Paper(
    name="adebayo2018",
    title="Sanity Checks for Saliency Maps",
    citation="Adebayo, Gilmer, Muelly, Goodfellow, Hardt & Kim (2018), arXiv:1810.03292",
    experiments=(EDGES, IMAGENET, CASCADING, INDEPENDENT, LABELS, SIMPLE),
    module="probatum.reproductions.adebayo2018",
    variants=VARIANTS,
)
