"""Calls by which particular libraries pickle their objects: followed to what they make."""

from __future__ import annotations

import pytest

from hubaudit.model import Finding, Severity
from tests.rules.programs import Name, Term
from tests.rules.test_detours import GETATTR, OWN, PARTIAL, SYSTEM, findings

OR = Name("_operator", "or_")
PEARSON = Name("scipy.stats._stats_py", "PearsonRResultBase")
PANDAS_DATA = Name("statsmodels.base.data", "PandasData")
TZFILE = Name("dateutil.tz.tz", "tzfile")
UNPICKLE_ZONE = Name("dateutil.tz._tzfile", "_unpickle")
NEW_METRIC = Name("hdbscan.dist_metrics", "newObj")
NEW_ZONE = Name("dateutil.tz._tzfile", "tzfile")


def by_new(cls: Name, *args: Term, made: Name | None = None) -> Term:
    """What copyreg makes of `cls.__new__(cls, *args, a=1)` for protocols 2 and 3."""
    new = GETATTR(cls, "__new__")
    return PARTIAL(new).build((new, (made or cls, *args), {"a": 1}, None))()


def told(term: Term) -> list[tuple[str, Severity]]:
    return [(found.rule, found.severity) for found in findings(term)]


INERT = {
    "scipy's results, with keywords": by_new(PEARSON, 1, 2),
    "int | str | None": OR(OR(Name("builtins", "int"), Name("builtins", "str")), None),
    "int | list[str]": OR(
        Name("builtins", "int"),
        Name("types", "GenericAlias")(Name("builtins", "list"), (Name("builtins", "str"),)),
    ),
    "a metric of hdbscan": NEW_METRIC(Name("hdbscan.dist_metrics", "EuclideanDistance")).build(()),
    "a zone of dateutil 2": TZFILE(None, "/usr/share/zoneinfo/Europe/Paris").build(
        {"_filename": "x"}
    ),
    "a zone of dateutil 4": UNPICKLE_ZONE(NEW_ZONE, None, "x", ((), (), (), (), (), "")),
    "statsmodels without a formula": PANDAS_DATA.new().build({"frame": None}),
    **{
        formula: PANDAS_DATA.new().build({"formula": formula, "restore_model_spec": True})
        for formula in (
            "y ~ a",
            "y ~ a + np.log(b) - 1",
            'Lottery ~ C(Region, Treatment(reference="W")) * Q("my column") : (a + b)**2',
            "log(y) ~ I(x ** 2) + bs(z, df=4, degree=3) + standardize(w)",
        )
    },
}


@pytest.mark.parametrize("term", INERT.values(), ids=INERT)
def test_what_a_library_writes_is_nothing(term: Term) -> None:
    assert told(term) == []


def said(found: tuple[Finding, ...]) -> str:
    return "; ".join(one.message for one in found)


@pytest.mark.parametrize(
    ("term", "name", "severity"),
    [
        (by_new(OWN), OWN.name, Severity.MEDIUM),
        (by_new(Name("builtins", "object"), made=OWN), OWN.name, Severity.MEDIUM),
        (by_new(Name("subprocess", "Popen"), "true"), "Popen", Severity.CRITICAL),
        (NEW_METRIC(OWN), OWN.name, Severity.MEDIUM),
        (TZFILE("/etc/hostname"), "tzfile", Severity.HIGH),
        (UNPICKLE_ZONE(OWN, None, "x", ()), OWN.name, Severity.MEDIUM),
        (OR(OWN, Name("builtins", "int")), "or_", Severity.HIGH),
        (GETATTR(OWN, "__new__")(1), OWN.name, Severity.HIGH),
    ],
    ids=str,
)
def test_what_it_would_make_of_another_name_is_told(
    term: Term, name: str, severity: Severity
) -> None:
    found = findings(term)
    assert name in said(found)
    assert min(one.severity.rank for one in found) == severity.rank


def test_a_new_that_is_called_calls_nothing_but_its_class() -> None:
    assert "os.system" in said(findings(by_new(PEARSON, SYSTEM("true"))))


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ __import__('os').system('true')",
        "y ~ open('/etc/hostname').read()",
        "y ~ I(a).__class__",
        "y ~ (exec)('x')",
        "y ~ log ('a')(b)",
        "y ~ a[0](1)",
        "y ~ f'{a()}'",
        "y ~ [f() for f in a]",
        "y ~ np.load('x')",
        "y ~ a\n+ b @ c",
        "y ~ " + "a + " * 2000 + "a",
        SYSTEM,
    ],
    ids=str,
)
@pytest.mark.parametrize("key", ["restore_model_spec", "restore_design_info"])
def test_a_formula_that_calls_anything_else_is_evaluated(formula: Term, key: str) -> None:
    found = findings(PANDAS_DATA.new().build({"formula": formula, key: True}))
    assert [f.severity for f in found if "evaluates the formula" in f.message] == [
        Severity.CRITICAL
    ]


def test_a_state_whose_keys_are_computed_may_have_a_formula() -> None:
    state = {Name("builtins", "str")("restore_model_spec"): True, "formula": "x"}
    assert Severity.CRITICAL in {severity for _, severity in told(PANDAS_DATA.new().build(state))}
