from types import SimpleNamespace

from medgan.pages import described, paragraphs, sections


def option(*opts, kind="option", annotation=str, **facts):
    """Stands for an option or argument of Typer."""
    usual = {
        "metavar": "N",
        "help": "Words.",
        "default": None,
        "required": False,
        "rich_help_panel": None,
        "secondary_opts": [],
    }
    descriptor = SimpleNamespace(annotation=annotation)
    return SimpleNamespace(
        opts=list(opts), param_type_name=kind, type_descriptor=descriptor, **(usual | facts)
    )


def test_examples_stand_right_below_what_announces_them():
    text = "Does a thing,\nand well.\n\nFor example:\n\nmedgan a\n\nmedgan b\n\nMore."
    assert list(paragraphs(text)) == [
        ["Does a thing, and well."],
        ["For example:", "  medgan a", "  medgan b"],
        ["More."],
    ]


def test_an_option_is_named_with_its_value_and_default():
    assert described(option("--count", default=16)) == ("--count N", "Words. Default: 16.")


def test_a_switch_has_no_value_and_no_default():
    assert described(option("--json", annotation=bool, default=False)) == ("--json", "Words.")


def test_the_short_name_comes_first():
    assert described(option("--help", "-h", annotation=bool))[0] == "-h, --help"


def test_a_switch_with_an_opposite_names_both():
    assert (
        described(option("--rain", annotation=bool, secondary_opts=["--no-rain"]))[0] == "--rain, --no-rain"
    )


def test_what_is_required_is_called_so():
    assert described(option("--out", required=True)) == ("--out N", "Words. Required.")
    assert described(option("source", kind="argument", metavar="SOURCE", required=True)) == (
        "SOURCE",
        "Words. Required.",
    )


def test_options_stand_under_their_subject_and_empty_subjects_are_left_out():
    options = [
        option("--help"),
        option("--out", rich_help_panel="Output"),
        option("--size", rich_help_panel="Data"),
    ]
    found = dict(sections(SimpleNamespace(), options))
    assert list(found) == ["Data", "Output", "Options"]
    assert found["Output"] == [("--out N", "Words.")]


def test_a_group_lists_its_commands_by_their_first_sentence():
    group = SimpleNamespace(commands={"paint": SimpleNamespace(help="Paint\na wall.\n\nFor example:")})
    assert dict(sections(group, [])) == {"Commands": [("paint", "Paint a wall.")]}
