"""The model card: training data, training, intended use, limits and evaluation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from medgan.base.escape import escape_markdown
from medgan.plan import Plan
from medgan.plan.flat import KEY_OF

_BEGIN = "<!-- evaluation: medgan evaluate writes and replaces this section -->"
_END = "<!-- /evaluation -->"
_SECTION = re.compile(rf"^{_BEGIN}[ \t]*\r?\n.*?^{_END}[ \t]*(?:\r?\n|\Z)", re.MULTILINE | re.DOTALL)

_INTENDED = """\
Research on class imbalance: topping up rare classes of the *training* split of an image classifier, teaching,
and software tests.

## Limits

- Not for clinical use: an image drawn by this model shows no real person, and may show impossible anatomy.
- The model knows only what its training images show: their scanners, sites and patients. Rare findings among
  them may be missing.
- A generator trained on few images can come close to some of them. Compare what it draws with the training
  images before sharing it.
- Whether synthetic images help is an open question for each data set: test on real patients whom the
  generator never saw, beside plain oversampling and class weights.
"""


def model_card_text(plan: Plan, facts: Mapping[str, Any]) -> str:
    """The text of card.md, a model card as in Mitchell et al. (arXiv 1810.03993)."""
    counts, patients = facts["counts"], facts.get("patients", {})
    rows = "\n".join(
        f"| {escape_markdown(label)} | {count} | {patients.get(label, 'unknown')} |"
        for label, count in sorted(counts.items())
    )
    decisions = "\n".join(
        f"| {KEY_OF[name]} | {escape_markdown(str(plan.value_of(name)))} | {reason} |"
        for name, reason in plan.why.items()
        if name in KEY_OF and name != "form"
    )
    form, (height, width) = plan.frame.form, plan.frame.size
    modality = escape_markdown(form.modality) or "modality unknown"
    cautions = "".join(f"**{escape_markdown(sentence)}**\n\n" for sentence in facts.get("cautions", ()))
    return f"""\
# Model card

A class-conditional generator of synthetic medical images ({modality}, {height} x {width} pixels,
{"colour" if plan.frame.channels == 3 else "gray"}), made by medgan {facts["medgan"]}.

Weights: `generator.safetensors`, SHA-256 `{facts["digest"]}`.

## Training data

| class | images | patients |
| --- | --- | --- |
{rows}

{cautions}Data digest: `{facts["data_digest"]}`. Only the train split was used, no validation or test images.
No image, path or patient identifier is stored with the model.
Intensities: {form.low:g} to {form.high:g} ({form.unit}); {plan.why.get("form", "")}.

## Intended use

{_INTENDED}
## How it was trained

{facts["images_shown"]:,} images shown{_resumption_text(facts.get("legs", ()))}.
{_guards_section(facts.get("guards"))}

| decision | value | reason |
| --- | --- | --- |
{decisions}
"""


def _resumption_text(ends: Sequence[int]) -> str:
    """A note that shorter runs were continued, with the images shown at their ends."""
    return f", in runs that were continued after {' and '.join(f'{end:,}' for end in ends)}" if ends else ""


def _guards_section(check: Mapping[str, Any] | None) -> str:
    """What the guards found of the generator that was kept.

    docs/concepts/training.md explains their checks.
    """
    if check is None:
        return "The guards have not checked it: it was trained too briefly, or without them."
    chosen = (
        f"The generator is that of {check['images_shown']:,} images, "
        "the best that the guards found on images held back from training."
    )
    found = [*check["alarms"], *filter(None, [check["stopped"]])]
    if not check["copies"]:
        found += ["copies of training images could not be detected with so few patients"]
    found = found or ["no collapse and no copies of training images were found"]
    return "\n".join([chosen, "", *(f"- {escape_markdown(sentence)}" for sentence in found)])


def replace_evaluation(text: str, section: str) -> str:
    """Put the section of an evaluation into a card, without touching the rest.

    It replaces the section of an earlier evaluation, or goes to the end.
    """
    block = f"{_BEGIN}\n{section}\n{_END}\n"
    if _SECTION.search(text):
        return _SECTION.sub(lambda _: block, text, count=1)
    return f"{text}{'' if text.endswith(chr(10)) else chr(10)}\n{block}"


def is_card_of(text: str, digest: str) -> bool:
    """Whether a card describes the weights with this SHA-256.

    Its evaluation section does not count.
    """
    return digest in _SECTION.sub("", text)
