"""Lists of what is approved: each target with its line, and each mistake with its line."""

from __future__ import annotations

from datetime import date

import pytest

from hubaudit.config import Policy
from hubaudit.errors import ConfigError
from hubaudit.lists import ApprovedList, name_of, parse_csv, parse_text, parse_toml
from hubaudit.model import Severity, Target

TODAY = date(2027, 1, 1)


def names(found: ApprovedList) -> list[tuple[str, int | None]]:
    return [(name_of(entry.target), entry.line) for entry in found.entries]


def problems(found: ApprovedList) -> list[str]:
    return [str(problem) for problem in found.problems]


def test_a_text_has_one_target_a_line_and_comments() -> None:
    text = b"\xef\xbb\xbf# approved\r\norg/a\r\n\r\n  datasets/org/b@v1   # why\nspaces/org/c\n"
    found = parse_text(text, "list.txt")
    assert names(found) == [("org/a", 2), ("datasets/org/b@v1", 4), ("spaces/org/c", 5)]
    assert not found.problems


def test_malformed_lines_and_duplicates_are_told_with_their_lines() -> None:
    text = b"org/a\nnot a repository\norg/b\nORG/A@main\n\xff\xfe\n./here\n"
    found = parse_text(text, "list.txt")
    assert names(found) == [("org/a", 1), ("org/b", 3)]
    said = problems(found)
    assert [one.split(": ")[1] for one in said] == ["line 2", "line 4", "line 5", "line 6"]
    assert "stands twice, first in line 1" in said[1]


def test_two_revisions_of_one_repository_are_two_targets() -> None:
    found = parse_text(b"org/a@v1\norg/a@v2\norg/a\n", "list.txt")
    assert len(found.entries) == 3
    assert not found.problems


@pytest.mark.parametrize(
    ("text", "column"),
    [
        (b"name,model\nx,org/a\ny,org/b\n", None),
        (b"name;model\nx;org/a\ny;org/b\n", "model"),
        (b"\xef\xbb\xbfmodel\tn\norg/a\t1\norg/b\t2\n", "model"),
    ],
)
def test_a_csv_gives_one_column(text: bytes, column: str | None) -> None:
    assert names(parse_csv(text, "list.csv", column)) == [("org/a", 2), ("org/b", 3)]


def test_a_csv_row_over_several_lines_is_told_by_its_first() -> None:
    text = b'id,note,revision,repo_type\norg/a,"two\nlines",v1,dataset\nnot ok,x,,\norg/b,,,\n'
    found = parse_csv(text, "list.csv", "id")
    assert names(found) == [("datasets/org/a@v1", 2), ("org/b", 5)]
    assert found.problems[0].line == 4


def test_columns_have_their_names_in_any_letter_case() -> None:
    found = parse_csv(b"ID,Revision,Repo_Type\norg/a,v1,dataset\n", "list.csv", None)
    assert names(found) == [("datasets/org/a@v1", 2)]
    assert names(parse_csv(b"Name,ID\nx,org/a\n", "list.csv", "ID")) == [("org/a", 2)]


@pytest.mark.parametrize("header", [b"id,id", b"id,revision,Revision"])
def test_a_column_that_stands_twice_is_an_error(header: bytes) -> None:
    with pytest.raises(ConfigError, match="several columns"):
        parse_csv(header + b"\norg/a,org/b,v1\n", "list.csv", None)


def test_a_long_line_is_not_repeated_in_full() -> None:
    [problem] = parse_text(b"x y" * 100_000, "list.txt").problems
    assert len(problem.why) < 500


def test_a_column_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no column 'modle'") as caught:
        parse_csv(b"model\norg/a\n", "list.csv", "modle")
    assert "model" in caught.value.hint


def test_a_toml_list_has_revisions_types_owners_and_policies() -> None:
    text = b"""
[[model]]
id = "org/a"
revision = "v1"
owner = "jane@example.org"
fail-on = "critical"
[model.policy]
strict = true
[[dataset]]
id = "org/d"
[[model]]
id = "org/s"
type = "space"
"""
    found = parse_toml(text, "list.toml", TODAY)
    assert not found.problems
    assert names(found) == [("org/a@v1", 2), ("datasets/org/d", 9), ("spaces/org/s", 11)]
    first = found.entries[0]
    assert first.owner == "jane@example.org"
    policy = first.policy(Policy(max_archive_depth=7), TODAY)
    assert (policy.fail_on, policy.strict, policy.max_archive_depth) == (Severity.CRITICAL, True, 7)
    assert found.entries[1].policy(Policy(strict=True), TODAY) == Policy(strict=True)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('revision = "v1"', "id is missing"),
        ('id = "org/a"\nrevison = "v1"', "did you mean 'revision'"),
        ('id = "org/a"\nfail-on = "hgih"', "fail-on"),
        ('id = "a b"', "cannot audit"),
        ('id = "org/a"\nfail-on = "low"\npolicy = {fail-on = "high"}', "in its policy"),
        ("id = 3", "id is no text"),
        ('id = "org/a"\ntype = "modle"', "no repository type"),
        ('id = "org/a"\n[model.policy]\nstrct = true', "strct"),
    ],
)
def test_a_mistake_in_a_toml_list_is_told_with_its_line(table: str, said: str) -> None:
    text = f'# approved\n\n[[model]]\n{table}\n\n[[model]]\nid = "org/good"\n'
    found = parse_toml(text.encode(), "list.toml", TODAY)
    assert [entry.target for entry in found.entries] == [Target("org/good")]
    assert problems(found)[0].startswith("list.toml: line 3: ")
    assert said in problems(found)[0]


@pytest.mark.parametrize(
    "text",
    [
        'model = [\n  {id = "org/a"},\n  {id = "org/a"},\n]\n',
        '[[model]]\nid = \'org/a\'\nowner = """\n[[model]]\n"""\n[[model]]\nid = \'org/a\'\n',
    ],
)
def test_where_headers_tell_no_lines_the_ids_do(text: str) -> None:
    [problem] = parse_toml(text.encode(), "l.toml", TODAY).problems
    assert problem.line == text.count("\n", 0, text.rindex("org/a")) + 1


def test_a_toml_list_may_begin_with_a_byte_order_mark() -> None:
    found = parse_toml(b'\xef\xbb\xbf[[model]]\nid = "org/a"\n', "l.toml", TODAY)
    assert names(found) == [("org/a", 1)]


def test_an_unknown_table_is_a_mistake_too() -> None:
    found = parse_toml(b'[[models]]\nid = "org/a"\n', "list.toml", TODAY)
    assert "did you mean 'model'" in problems(found)[0]


def test_lists_that_name_the_same_say_where() -> None:
    both = parse_text(b"org/a\n", "one.txt") + parse_text(b"\norg/a\n", "two.txt")
    assert problems(both) == ["two.txt: line 2: org/a stands twice, first in one.txt: line 1"]
