"""The model card of a set of weights, made from its weights.json alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from ldct.rendering.numbers import number

CARD = "MODEL_CARD.md"
LIMITS = (
    "**For research alone; not a medical device.** No one has tested these models on a clinical "
    "task.",
    "Few patients, a short training: they show what this budget gives, not what a method can do.",
    "Networks remove what their training data call noise: lesions of low contrast may lose "
    "contrast or vanish.",
    "Kernels, thicknesses, pixel sizes, noise and body regions other than those below were not "
    "seen.",
)


def model_card(content: Mapping[str, Any]) -> str:
    """The card as Markdown. content : of weights.json."""
    data, span = content["data"], content["span"]
    dose = "of the data set"
    if data["simulate"]:
        terms = ", ".join(f"{key} {value}" for key, value in data["simulate"].items())
        dose = f"simulated by this suite ({terms}; docs/data.md)"
    kernels = ", ".join(kernel or "not stated" for kernel in span["kernel"])
    patients = [
        [
            name,
            str(own["slices"]),
            own["kernel"] or "not stated",
            f"{own['thickness_mm']:g}",
            f"{own['pixel_mm']:.3f}",
            f"{own['quarter_noise_hu']:.1f}",
        ]
        for name, own in data["patients"].items()
    ]
    stages = [
        [
            name,
            f"{own['stage']['network']['name']}, {own['stage']['target']}",
            ", ".join(own["stage"]["loss"]),
            f"{own['steps']:,} x {own['stage']['recipe']['batch']}",
            number(own["training"]["critic_auc"], 2),
            own["weights_sha256"][:16],
        ]
        for name, own in content["stages"].items()
    ]
    tuned = ", ".join(content["parameters"])
    heads = ["Patient", "Slices", "Kernel", "Thickness, mm", "Pixel, mm", "Low-dose noise, HU"]
    return "\n".join(
        [
            f"# Weights of run {content['run']}, training {content['training']}",
            "",
            "Made by `ldct export-weights` from `weights.json`, which holds every recipe.",
            "",
            "## Limits",
            "",
            *(f"* {limit}" for limit in LIMITS),
            "",
            "## Training",
            "",
            f"Data: {data['title']}; quarter dose {dose}; {content['tiles']:,} tiles of "
            f"{content['tile_size']} pixels. Budget: {content['budget_text']}. "
            f"Seed {content['seed']}.",
            f"Span: kernels {kernels}; thickness {_range(span['thickness_mm'])} mm; pixels "
            f"{_range(span['pixel_mm'])} mm; noise of the low dose in soft tissue "
            f"{_range(span['quarter_noise_hu'])} HU.",
            "",
            *_table(heads, patients),
            "",
            *_table(
                ["Stage", "Network, target", "Loss", "Steps x batch", "Critic AUC", "sha256"],
                stages,
            ),
            "",
            *([f"Parameters tuned on the same patients: {tuned}.", ""] if tuned else []),
            "## Licence and credits",
            "",
            f"{content['licence']}.",
            "",
            data["credit"],
            "",
        ]
    )


def _range(bounds: Sequence[float]) -> str:
    return " to ".join(f"{bound:.3g}" for bound in dict.fromkeys(bounds))


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]
