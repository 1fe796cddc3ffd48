"""A container: an image by name (`container:IMAGE`), or built from the Containerfile here.

Only when it is asked for: a Dockerfile says how something is deployed far more often than what
a command in the checkout needs.
"""

from __future__ import annotations

from dobby.core import container
from dobby.core.plan import NOT_DECLARED, WHEN_ASKED, Layer, Plan, PlanError, key_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dobby.core.plan import Tools, Tree

FAMILY = "container"
NEEDS: tuple[str, ...] = ("podman|docker",)
HINTS: tuple[tuple[str, str], ...] = (
    ("executable file `sh` not found", "the image has no sh, without which no command can be run in it"),
    ('exec: "sh"', "the image has no sh, without which no command can be run in it"),
)


def detect(tree: Tree) -> int:
    return WHEN_ASKED if _file(tree) else NOT_DECLARED


def _file(tree: Tree) -> str:
    return next((name for name in container.FILES if tree.read(name) is not None), "")


def plan(tree: Tree, tools: Tools) -> Plan:
    engine = tools.engine
    if engine is None:
        raise PlanError("the host has neither podman nor docker in PATH: install one of them")
    file, image = _file(tree), tools.argument
    if not image and not file:
        raise PlanError(
            f"there is no Containerfile or Dockerfile in {tree.dir or 'the top directory'}: "
            "add one, or name an image (container:IMAGE)"
        )
    steps: tuple[tuple[str, ...], ...] = ()
    recipe = ("image", image)
    built = "" if image else container.tag_of(tools.where)
    if built:
        text = tree.read(file) or ""
        recipe = (file, text + (tree.snapshot if container.takes_files(text) else ""))
        steps = (container.build(engine, built, file, tree.path),)
    where = container.Container(engine=engine, image=image or built, home=f"{tools.where}/home")
    proof = container.proof(engine, where.image, container.name_of(tools.run_id))
    layer = Layer(
        name="image",
        key=key_text(("engine", " ".join((engine.program, *engine.user))), recipe),
        steps=(*steps, proof),
        cwd=tree.path,
    )
    return Plan(
        layers=(layer,),
        answers=(container.has_image(engine, where.image),),
        container=where,
        built_image=built,
    )
