"""Stages of deep networks: the blocks that hold the layers, in place of the layers themselves."""

from probatum.randomization.stages import Stage, StagePlan

LAYERS_AT_MOST = 20  # stages of a plan that keeps its layers
BLOCKS_AT_LEAST = 8  # of the level of the module tree whose modules become stages


def block_stages(plan: StagePlan) -> StagePlan:
    """Joins the layers of a plan into the blocks that the module tree makes of them.

    A block is a module at the shallowest level of the tree that has at least 8 modules with layers, such as the
    residual blocks of a ResNet, the stem, seven stages and head of an EfficientNet, or the encoder layers of a ViT. A
    layer that lies above that level stays a stage of its own. A tree without such a level keeps its layers.

    Args:
        plan: one stage for each layer, in cascading order, each named by its path.

    Returns:
        one stage for each block, named by its path, in the order in which the plan ends them: a block is redrawn where
            the cascade meets the first of its layers.
    """
    paths = [stage.name.split(".") for stage in plan.stages]
    for depth in range(1, max(map(len, paths), default=0)):
        blocks: dict[str, list[str]] = {}
        for path, stage in zip(paths, plan.stages, strict=True):
            blocks.setdefault(".".join(path[:depth]), []).extend(stage.modules)
        if len(blocks) >= BLOCKS_AT_LEAST:
            return StagePlan(tuple(Stage(name, tuple(modules)) for name, modules in blocks.items()), plan.unused)
    return plan


def usual_stages(plan: StagePlan) -> StagePlan:
    """The layers of a plan where they are few, else its blocks."""
    return plan if len(plan.stages) <= LAYERS_AT_MOST else block_stages(plan)
