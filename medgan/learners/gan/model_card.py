"""Plan and facts -> the model card: what the model was trained on, how, what it is for and not for; and the place of its evaluation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from medgan.base.escape import escape_markdown
from medgan.plan import Plan

_BEGIN, _END = "<!-- evaluation: medgan evaluate writes and replaces this section -->", "<!-- /evaluation -->"
_SECTION = re.compile(rf"^{_BEGIN}[ \t]*\r?\n.*?^{_END}[ \t]*(?:\r?\n|\Z)", re.MULTILINE | re.DOTALL)
_LF = "\n"
_INTENDED = """\
Research on class imbalance: topping up rare classes of the *training* split of an image classifier, teaching, and software tests.

## Limits

- Not for clinical use: an image drawn by this model shows nobody, and may show anatomy that cannot exist.
- The model knows only what its training images show: their scanners, sites and patients. Rare findings among them may be missing.
- A generator trained on few images can come close to some of them. Compare what it draws with the training images before sharing it.
- Whether synthetic images help is an open question for each data set: test on real patients whom the generator never saw, beside
  plain oversampling and class weights.
"""


def model_card_text(plan: Plan, facts: Mapping[str, Any]) -> str:
    """The text of `model_card_text.md` (Mitchell et al., Model Cards for Model Reporting, arXiv 1810.03993)."""
    counts, patients = facts["counts"], facts.get("patients", {})
    rows = "\n".join(
        f"| {escape_markdown(label)} | {count} | {patients.get(label, 'unknown')} |"
        for label, count in sorted(counts.items())
    )
    decisions = "\n".join(
        f"| {name} | {escape_markdown(str(getattr(plan, name)))} | {reason} |"
        for name, reason in plan.why.items()
        if name not in {"form"}
    )
    form = plan.form
    return f"""\
# Model card

A class-conditional generator of synthetic medical images ({escape_markdown(form.modality) or "modality unknown"}, {plan.size[0]} x {plan.size[1]} pixels,
{"colour" if plan.channels == 3 else "gray"}), made by medgan {facts["medgan"]}.

Weights: `generator.safetensors`, SHA-256 `{facts["digest"]}`.

## Training data

| class | images | patients |
| --- | --- | --- |
{rows}

{"".join(f"**{escape_markdown(sentence)}**{_LF}{_LF}" for sentence in facts.get("cautions", ()))}Data digest: `{facts["data_digest"]}`. Only the train split was used; validation and test images were never seen.
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
    """That shorter runs were gone on with, which ended when so many images had been shown."""
    return (
        f", in runs that were gone on with after {' and '.join(f'{end:,}' for end in ends)}" if ends else ""
    )


def _guards_section(seen: Mapping[str, Any] | None) -> str:
    """What guards saw of the generator that was kept (docs/concepts/training.md)."""
    if seen is None:
        return "Guards have not looked at it: it was trained too briefly, or without them."
    chosen = f"The generator is that of {seen['images_shown']:,} images, the best that guards saw on images held back from training."
    found = [*seen["alarms"], *filter(None, [seen["stopped"]])]
    if not seen["copies"]:
        found += ["copies of training images could not be told among so few patients"]
    found = found or ["no collapse and no copies of training images were found"]
    return "\n".join([chosen, "", *(f"- {escape_markdown(sentence)}" for sentence in found)])


def replace_evaluation(text: str, section: str) -> str:
    """The card `text` with the section of an evaluation, in the place of an earlier one or at the end; all else stands."""
    block = f"{_BEGIN}\n{section}\n{_END}\n"
    if _SECTION.search(text):
        return _SECTION.sub(lambda _: block, text, count=1)
    return f"{text}{'' if text.endswith(chr(10)) else chr(10)}\n{block}"


def is_card_of(text: str, digest: str) -> bool:
    """Whether a card is that of the weights with this SHA-256, whatever evaluation stands in it."""
    return digest in _SECTION.sub("", text)
