"""Networks of timm with attention everywhere, checked one by one; the table of docs/models.md.

    python scripts/models.py            all of them (many minutes), and write the table
    python scripts/models.py NAME …     these alone, printed

For each: a pass forward and back with an ADD block after every stage at the smallest size of images that it takes, the
features with a mask of ones beside timm's own, and whether each parameter that is trained, and no other one, gets a
finite gradient.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from addnet.errors import UserError
from addnet.models import ADDNet
from addnet.models.attend import ATTEND
from addnet.models.stages import TOKENS, Description
from addnet.models.summary import without_gradient
from addnet.models.timm_stages import describe, objection

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
BEGIN, END = "<!-- begin: scripts/models.py -->", "<!-- end: scripts/models.py -->"
SIDES = (32, 56, 64, 96, 112, 128, 160, 192, 224, 256, 384)
# the smallest of each module of timm, then some that are often used
NAMES = """
beit_base_patch16_224 halonet_h1 test_byobnet cait_xxs24_224 coat_lite_tiny coat_tiny convit_tiny convmixer_768_32
test_convnext cpubone_nano crossvit_tiny_240 csatv2 cs3darknet_focus_s cspnext_tiny davit_tiny deepseek_vit_412m
deit_tiny_patch16_224 densenet121 dla46x_c dpn48b edgenext_xx_small efficientformer_l1 efficientformerv2_s0
test_efficientnet efficientvim_m1 efficientvit_b0 efficientvit_m0 vit_tiny_patch16_dinov3_qkvb fasternet_t0 fastvit_t8
focalnet_tiny_srf gcvit_xxtiny gemma4_vit_167m ghostnet_050 hardcorenas_b hgnetv2_b0 hiera_tiny_224 sam2_hiera_tiny
hrnet_w18_small iformer_t inception_next_atto inception_resnet_v2 inception_v3 inception_v4 lcnetv2_small levit_128s
lowformer_b0 test_mambaout test_coatnet poolformerv2_s12 gmlp_ti16_224 lcnet_035 mobilenetv5_base mobilevit_xxs
mvitv2_tiny naflexvit_base_patch16_parfac_gap nasnetalarge nest_tiny nextvit_small test_nfnet pit_ti_224 pnasnet5large
pvt_v2_b0 qwen3_vit_88m rdnet_tiny regnetx_002 repghostnet_050 repvit_m1 res2next50 resnest14d test_resnet resnetv2_18
rexnet_100 selecsls42 legacy_seresnet18 sequencer2d_s shvit_s1 skresnet18 starnet_s050 swiftformer_xs
swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 swinv2_cr_tiny_224 tiny_vit_5m_224 tnt_s_legacy_patch16_224
tresnet_m twins_svt_small vgg11 visformer_tiny test_vit vit_tiny_r_s16_p8_224 test_vit_relpos samvit_base_patch16_224
vitamin_small_224 volo_d1_224 ese_vovnet19b_slim_dw legacy_xception xception41p xcit_nano_12_p8_224

resnet18 resnet50 efficientnet_b0 tf_efficientnet_lite0 mobilenetv3_small_050 convnext_atto convnextv2_atto
vit_tiny_patch16_224 vit_small_patch14_dinov2 vit_base_patch32_clip_224 vit_pe_core_tiny_patch16_384
eva02_tiny_patch14_224 maxvit_rmlp_pico_rw_256 mobilevitv2_050 legacy_seresnext26_32x4d
"""


@dataclass(frozen=True)
class Checked:
    """What was found of a network.

    Attributes:
        description: Of the network.
        side: Of the images that it was checked with.
        parameters: How many numbers the backbone holds.
        multiply_adds: Of a forward pass of one image of the size that the network was made for.
        attend: Whether its attention takes a mask.
        difference: The largest between its features with masks of ones and timm's own.
        without: Parameters that are trained and got no finite gradient.
        idle: Parameters that timm's own network gives no gradient either.
        beyond: Parameters that are not trained and got one.
    """

    description: Description
    side: int
    parameters: int
    multiply_adds: int
    attend: bool
    difference: float
    without: tuple[str, ...]
    idle: tuple[str, ...]
    beyond: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether all that was promised holds."""
        return self.difference <= 1e-5 and not self.without and not self.beyond


def check(name: str) -> Checked:
    """Builds a network with ADD blocks everywhere, runs it forward and back and compares it with timm's own.

    Raises:
        UserError: Attention can follow no stage of it.
    """
    description = describe(name)
    if description.lacking:
        raise UserError(description.lacking)
    side = smallest_side(description)
    torch.manual_seed(0)
    net = ADDNet(name, placement=list(description.sites), combine="mix", image_size=side, drop_rate=0.0)
    image, mask = torch.rand(2, 3, side, side) * 2 - 1, torch.rand(2, 1, side, side)
    difference, idle = beside_timm(net, image)
    reading = attending(description, net, side)
    if reading is not None:
        difference = max(difference, beside_timm(reading, image)[0])
    frozen = [key for key, _ in net.named_parameters()][::2]
    still = set(step(net, image, mask, frozen))
    beyond = [key for key in frozen if key not in still]
    missing = {key.removeprefix("backbone.") for key in step(net, image, mask)}
    amounts = {key: each.grad for key, each in net.named_parameters() if key.startswith("add_blocks")}
    missing |= {
        key for key, grad in amounts.items() if grad is None or not bool(grad.any())
    }  # a site that nobody reads
    return Checked(
        description,
        side,
        sum(parameter.numel() for parameter in net.backbone.parameters()),
        multiply_adds(description),
        reading is not None,
        difference,
        tuple(sorted(missing - idle)),
        tuple(sorted(missing & idle)),
        tuple(beyond),
    )


def smallest_side(description: Description) -> int:
    """The smallest of `SIDES` that a network takes, or its own."""
    stages = [stage.name for stage in description.stages]
    for side in SIDES:
        if side >= description.side or objection(description.name, side, stages=stages) is None:
            return min(side, description.side)
    return description.side


def attending(description: Description, net: ADDNet, side: int) -> ADDNet | None:
    """The same network whose attention reads by the mask, wherever it does; None where it takes no mask."""
    stages = description.stages
    sites = [before.name for before, stage in pairwise(stages) if stage.form == TOKENS]
    try:
        reading = ADDNet(description.name, placement=sites, combine=ATTEND, image_size=side, drop_rate=0.0)
    except UserError:
        return None
    reading.backbone.load_state_dict(net.backbone.state_dict())
    return reading if sites else None


def beside_timm(net: ADDNet, image: Tensor) -> tuple[float, set[str]]:
    """The largest difference from timm's own features, and the parameters that get no gradient in timm's network."""
    own = timms_own(net.description, image.shape[-1])
    own.load_state_dict(net.backbone.state_dict())
    pairs = list(zip(net.description.mean, net.description.std, strict=True))
    scale = torch.tensor([0.5 / std for _, std in pairs])[:, None, None]
    scaled = image * scale + torch.tensor([(0.5 - mean) / std for mean, std in pairs])[:, None, None]
    with torch.no_grad():
        ones = net.eval().forward_features(image, torch.ones_like(image[:, :1]))
        difference = float((ones - own.eval().forward_features(scaled)).abs().max())
    torch.autograd.backward(own.train()(scaled).square().sum())
    return difference, set(without_gradient(own))


def timms_own(description: Description, side: int) -> Any:
    """The network as a user of timm makes it."""
    try:
        return timm.create_model(description.name, num_classes=0, img_size=side)
    except TypeError:  # any size will do
        return timm.create_model(description.name, num_classes=0)


def step(net: ADDNet, image: Tensor, mask: Tensor, frozen: Iterable[str] = ()) -> list[str]:
    """Runs a step forward and back with some parameters frozen; names of those without a finite gradient."""
    held = set(frozen)
    for key, parameter in net.named_parameters():
        parameter.requires_grad_(key not in held)
        parameter.grad = None
    torch.autograd.backward(functional.cross_entropy(net.train()(image, mask), torch.tensor([0, 1])))
    return [key for key, each in net.named_parameters() if each.grad is None or not bool(each.grad.isfinite().all())]


def multiply_adds(description: Description) -> int:
    """Of a forward pass of one image of the size that a network was made for; nothing is computed."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        net = timm.create_model(description.name, num_classes=0).eval().requires_grad_(False)
        net(torch.zeros(1, 3, description.side, description.side))
    return int(counter.get_total_flops()) // 2


def line(found: Checked) -> str:
    """A row of the table."""
    about = found.description
    stages = [stage for stage in about.stages if stage.site and stage.module]
    form = {stage.form for stage in stages}
    kind = "tokens" if form == {TOKENS} else "maps" if TOKENS not in form else "maps, tokens"
    gradients = "all" if not found.idle else f"all but {len(found.idle)} that timm leaves without"
    return (
        f"| `{about.name}` | {len(stages)} {kind} | {', '.join(f'`{site}`' for site in about.placements['full'])} | "
        f"{'yes' if found.attend else ''} | {about.side} | {found.side} | {found.parameters / 1e6:.2f} | "
        f"{found.multiply_adds / 1e9:.2f} | {found.difference:.0e} | {gradients if found.good else 'FAILS'} |"
    )


HEAD = (
    "| network | stages | `full` | `attend` | made for | least | parameters, 10⁶ | multiply-adds, 10⁹ | ones | "
    "gradients |",
    "|---|---|---|---|---:|---:|---:|---:|---:|---|",
)


def main(names: list[str]) -> int:
    """Checks networks, prints a line for each, and writes the page where all were asked for."""
    rows, refused, failed = [], [], 0
    for name in names or NAMES.split():
        gc.collect()
        try:
            found = check(name)
        except UserError as error:
            refused.append(f"- `{name}`: {error}")
            sys.stdout.write(refused[-1] + "\n")
            continue
        rows.append(line(found))
        sys.stdout.write(rows[-1] + "\n")
        sys.stdout.flush()
        if not found.good:
            failed += 1
            sys.stdout.write(f"  {found.difference=} {found.without=} {found.beyond=}\n")
    if not names:
        write(
            [
                *HEAD,
                *sorted(rows),
                "",
                "These networks have no stage that takes attention; use them with `model.placement=none`:",
                "",
                *sorted(refused),
            ]
        )
    return 1 if failed else 0


def write(lines: Iterable[str]) -> None:
    """Puts lines between the marks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text("\n".join([before + BEGIN, "", *lines, "", END + rest.partition(END)[2]]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
