from typing import Annotated, Literal

import pytest
import typer

from medgan.cli.help import _sections, describe, paragraphs, parameters


def paint(
    wall: Annotated[str, typer.Argument(metavar="WALL", help="What to paint.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Where.", rich_help_panel="Output")],
    coats: Annotated[int, typer.Option("--coats", "-c", metavar="N", help="How often.")] = 2,
    quick: Annotated[bool, typer.Option("--quick", help="Hurry.")] = False,
    rain: Annotated[bool | None, typer.Option("--rain/--no-rain", help="Outdoors.")] = None,
    colour: Annotated[
        Literal["red", "blue"] | None, typer.Option(help="Which.", rich_help_panel="Data")
    ] = None,
) -> None:
    """Paint
    a wall.

    For example:
    """


@pytest.fixture(scope="module")
def group():
    app = typer.Typer()
    app.callback()(lambda: None)
    app.command(name="paint")(paint)
    return typer.main.get_command(app)


@pytest.fixture(scope="module")
def rows(group):
    """{first word: (names and value, words)} of the one command."""
    command = group.commands["paint"]
    own = parameters(command)
    return {option.name: describe(option, own) for option in command.params}


def test_examples_stand_right_below_what_announces_them():
    text = "Does a thing,\nand well.\n\nFor example:\n\nmedgan a\n\nmedgan b\n\nMore."
    assert list(paragraphs(text)) == [
        ["Does a thing, and well."],
        ["For example:", "  medgan a", "  medgan b"],
        ["More."],
    ]


def test_an_option_is_named_with_its_value_and_default_the_short_name_first(rows):
    assert rows["coats"] == ("-c, --coats N", "How often. Default: 2.")


def test_a_switch_has_no_value_and_no_default(rows):
    assert rows["quick"] == ("--quick", "Hurry.")


def test_a_switch_with_an_opposite_names_both(rows):
    assert rows["rain"] == ("--rain, --no-rain", "Outdoors.")


def test_an_option_of_few_words_names_them_all(rows):
    assert rows["colour"] == ("--colour red|blue", "Which.")


def test_what_is_required_is_called_so(rows):
    assert rows["out"] == ("--out FOLDER", "Where. Required.")
    assert rows["wall"] == ("WALL", "What to paint. Required.")


def test_options_stand_under_their_subject_and_empty_subjects_are_left_out(group):
    command = group.commands["paint"]
    found = dict(_sections(command, command.params))
    assert list(found) == ["Arguments", "Data", "Output", "Options"]
    assert found["Output"] == [("--out FOLDER", "Where. Required.")]


def test_an_option_of_typer_itself_is_a_switch_with_words(group):
    with typer.Context(group) as context:
        (row,) = dict(_sections(group, [group.get_help_option(context)])).get("Options")
    assert row == ("--help", "Show this message and exit.")


def test_a_group_lists_its_commands_by_their_first_sentence(group):
    assert dict(_sections(group, [])) == {"Commands": [("paint", "Paint a wall.")]}
