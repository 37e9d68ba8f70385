"""Conditions over numbers mean what the expressions meant, and what one needs is necessary."""

from __future__ import annotations

from itertools import chain, combinations

from hypothesis import given
from hypothesis import strategies as st

from detectors.sigma.expression import And, Expression, Named, Not, Or, Predicate
from detectors.sigma.index.atoms import All, Atoms, Held, No, Some, compiled, numbers_of

FIELDS = ["a", "b", "c", "d"]
LEAVES = st.one_of(
    st.builds(
        lambda field, op, value: Predicate(field, op, value),
        st.sampled_from(FIELDS),
        st.sampled_from(["equals", "contains", "re"]),
        st.sampled_from(["", "x", "long enough"]),
    ),
    st.builds(lambda field, value: Predicate(field, "exists", value), st.sampled_from(FIELDS), st.booleans()),
    st.builds(lambda field: Predicate(field, "null", None), st.sampled_from(FIELDS)),
)
TREES: st.SearchStrategy[Expression] = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda children: And(tuple(children)))
        | st.lists(inner, min_size=1, max_size=3).map(lambda children: Or(tuple(children)))
        | inner.map(Not)
        | inner.map(lambda child: Named("s", child))
    ),
    max_leaves=8,
)


def naive(expression: Expression, atoms: Atoms, held: Held) -> bool:
    """The tree as written, asked of the numbers that hold."""
    match expression:
        case Predicate(op="null"):
            return atoms.number(Predicate(expression.field, "present", True)) not in held
        case Predicate(op="exists"):
            return (atoms.number(Predicate(expression.field, "exists", True)) in held) is expression.value
        case Predicate():
            return atoms.number(expression) in held
        case Named() | Not():
            return naive(expression.child, atoms, held) is not isinstance(expression, Not)
        case And():
            return all(naive(child, atoms, held) for child in expression.children)
        case Or():
            return any(naive(child, atoms, held) for child in expression.children)


def subsets(count: int) -> list[Held]:
    return [
        frozenset(found) for found in chain.from_iterable(combinations(range(count), size) for size in range(count + 1))
    ]


@given(TREES)
def test_a_condition_holds_when_its_expression_does_and_needs_what_it_says(tree: Expression) -> None:
    atoms = Atoms()
    condition = atoms.condition(tree)
    check, needed = compiled(condition), atoms.needed(condition)
    assert set(numbers_of(condition)) == set(range(len(atoms.predicates)))
    for held in subsets(len(atoms.predicates)):
        expected = naive(tree, atoms, held)
        assert bool(check(held)) is expected, (condition, held)
        if expected and needed is not None:
            assert needed & held, (condition, needed, held)


@given(TREES, st.lists(st.floats(0, 100), min_size=8, max_size=8))
def test_what_is_needed_stays_necessary_however_rare_things_are(tree: Expression, rarity: list[float]) -> None:
    atoms = Atoms()
    condition = atoms.condition(tree)
    atoms.rarity = rarity[: len(atoms.predicates)]
    needed, check = atoms.needed(condition), compiled(condition)
    if needed is not None:
        assert not any(check(held) for held in subsets(len(atoms.predicates)) if not held & needed)


def test_equal_predicates_have_one_number_whatever_the_author_wrote() -> None:
    atoms = Atoms()
    one = atoms.number(Predicate("a", "equals", "x", shown="X"))
    assert atoms.number(Predicate("a", "equals", "x", shown="x")) == one
    assert atoms.number(Predicate("a", "equals", "x", cased=True)) != one
    assert atoms.number(Predicate("b", "equals", "x")) != one
    assert len(atoms.predicates) == len(atoms.rarity) == 3


def test_opposites_share_a_number() -> None:
    atoms = Atoms()
    yes, no = (atoms.condition(Predicate("a", "exists", value)) for value in (True, False))
    assert no == No(yes)
    null = atoms.condition(Predicate("a", "null", None))
    assert isinstance(null, No)
    assert atoms.condition(Not(Predicate("a", "null", None))) == null.child
    assert [predicate.op for predicate in atoms.predicates] == ["exists", "present"]


def test_nested_ands_and_ors_become_one() -> None:
    a, b, c = (Predicate(name, "equals", "x") for name in "abc")
    atoms = Atoms()
    assert atoms.condition(And((a, Named("s", And((b, c)))))) == All(frozenset({0, 1, 2}), ())
    assert atoms.condition(Or((a, Or((b, Not(c)))))) == Some(frozenset({0, 1}), (No(2),))
    assert atoms.condition(And((a, a))) == 0
    assert atoms.condition(Or((Not(a),))) == No(0)


def test_an_and_is_filed_under_its_rarest_part() -> None:
    common, rare = Predicate("a", "contains", "e"), Predicate("a", "contains", "mimikatz")
    atoms = Atoms()
    condition = atoms.condition(And((common, rare)))
    assert atoms.needed(condition) == frozenset({atoms.number(rare)})
    atoms.rarity = [0.0, 1.0]
    assert atoms.needed(condition) == frozenset({atoms.number(common)})


def test_denials_need_nothing() -> None:
    a, b = Predicate("a", "equals", "x"), Predicate("b", "equals", "x")
    atoms = Atoms()
    assert atoms.needed(atoms.condition(Not(a))) is None
    assert atoms.needed(atoms.condition(Or((b, Not(a))))) is None
    assert atoms.needed(atoms.condition(And((b, Not(a))))) == frozenset({atoms.number(b)})
