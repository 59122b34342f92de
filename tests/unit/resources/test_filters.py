"""Conditions as SQL, and what a hook may not write."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session, registry

from interceptors.resources.conditions import Condition, Conditions, Sort
from interceptors.resources.description import Description
from interceptors.resources.errors import ResourceError
from interceptors.resources.filters import apply_conditions, page_of, where
from tests.unit.resources.query_support import LIBRARY, parse

Author, AUTHOR = LIBRARY.Author, LIBRARY.author
LARGE = 10**30


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = create_engine("sqlite://")
    LIBRARY.metadata.create_all(made)
    with Session(made) as session:
        session.add_all(
            [
                Author(id=1, name="Ada", age=36, active=True, credit=Decimal("1.50"), born=date(1815, 12, 10)),
                Author(id=2, name="50% _/*", age=18, active=False, credit=Decimal("0.10"), secret="s"),
                Author(id=3, name=None, age=None, active=None, tenant=2),
            ]
        )
        session.commit()
    yield made
    made.dispose()


@pytest.fixture
def ids(engine: Engine) -> Iterator[Any]:
    """The keys of the rows that these conditions leave, in their order."""
    with Session(engine) as session:

        def found(*q: Any, **more: Any) -> list[int]:
            query = apply_conditions(AUTHOR.select, Conditions(q=list(q), **more), AUTHOR)
            return [row.id for row in session.scalars(query)]

        yield found


def sql(clause: Any, dialect: Any = sqlite) -> str:
    return str(clause.compile(dialect=dialect.dialect(), compile_kwargs={"literal_binds": True}))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Condition("age", 36), [1]),
        (Condition("age", None), [3]),
        (Condition("age", 36, "not"), [2]),
        (Condition("age", None, "not"), [1, 2]),
        (Condition("age", 18, "gt"), [1]),
        (Condition("age", 18, "gte"), [1, 2]),
        (Condition("age", 36, "lt"), [2]),
        (Condition("age", 36, "lte"), [1, 2]),
        (Condition("active", False, "gt"), [1]),
        (Condition("name", "A*", "like"), [1]),
        (Condition("name", "*d*", "like"), [1]),
        (Condition("name", "A", "like"), []),
        (Condition("name", "A*", "notLike"), [2]),
        (Condition("name", "aDA", "iLike"), [1]),
        (Condition("name", "aDA", "notILike"), [2]),
        (Condition("age", [36, 5], "in"), [1]),
        (Condition("age", {36, 5}, "in"), [1]),
        (Condition("age", [36, 5], "notIn"), [2]),
        (Condition("age", [], "in"), []),
        (Condition("age", [], "notIn"), [1, 2, 3]),
        (Condition("age", [18, 30], "between"), [2]),
        (Condition("age", (18, 30), "notBetween"), [1]),
        (Condition("credit", Decimal("0.1")), [2]),
        (Condition("secret", "s"), [2]),
        (Condition("id", LARGE // 10**12, "lt"), [1, 2, 3]),
    ],
    ids=str,
)
def test_every_condition(ids: Any, condition: Condition, expected: list[int]) -> None:
    """As in SQL: NULL is neither equal nor unequal to anything. Hooks may name hidden columns."""
    assert ids(condition) == expected


@pytest.mark.parametrize("ordinary", ["%", "_", "/", "50% _/"])
@pytest.mark.parametrize("form", ["like", "iLike"])
def test_only_the_star_is_a_wildcard(ids: Any, form: str, ordinary: str) -> None:
    """What SQL takes for one stands for itself."""
    assert ids(Condition("name", f"*{ordinary}*", form)) == [2]
    assert ids(Condition("name", ordinary * 3, form)) == []


@pytest.mark.parametrize("dialect", [sqlite, postgresql, mysql], ids=["sqlite", "postgresql", "mysql"])
def test_the_escape_character_is_one_in_no_database(dialect: Any) -> None:
    """A backslash means something of its own in some literals."""
    assert "ESCAPE '/'" in sql(where([Condition("name", "a", "notLike")], AUTHOR), dialect)


@pytest.mark.parametrize(
    ("form", "operator"),
    [("like", " LIKE "), ("notLike", " NOT LIKE "), ("iLike", " ILIKE "), ("notILike", " NOT ILIKE ")],
)
def test_the_i_forms_alone_ignore_case(form: str, operator: str) -> None:
    """SQLite's LIKE always does, so this shows elsewhere."""
    assert operator in sql(where([Condition("name", "a", form)], AUTHOR), postgresql)


def test_and_binds_tighter_than_or() -> None:
    """Within one list."""
    a, b, c, d = (
        Condition("age", 1),
        Condition("age", 2, "", "or"),
        Condition("age", 3),
        Condition("age", 4, "", "or"),
    )
    expected = "authors.age = 1 OR authors.age = 2 AND authors.age = 3 OR authors.age = 4"
    assert sql(where([[a, b, c, d]], AUTHOR)) == expected


def test_a_list_joins_by_its_first_element() -> None:
    """However deep that stands; a list of nothing is not there."""
    a, b, c = Condition("age", 1), Condition("age", 2, "", "or"), Condition("age", 3)
    assert sql(where([[a, [[], [b, c]]]], AUTHOR)) == "authors.age = 1 OR authors.age = 2 AND authors.age = 3"
    assert sql(where([[a, [c, b]]], AUTHOR)) == "authors.age = 1 AND (authors.age = 3 OR authors.age = 2)"
    assert sql(where([[[[]], a, b]], AUTHOR)) == "authors.age = 1 OR authors.age = 2"


def test_the_outermost_entries_are_joined_by_and() -> None:
    """Whatever their prefixes."""
    client = parse(q='{"$or.age": 1, "$or.name": "x"}').q
    tenant = Condition("tenant", 7, "", "or")
    narrowed = "(authors.age = 1 OR authors.name = 'x') AND authors.tenant = 7"
    assert sql(where([*client, tenant], AUTHOR)) == narrowed
    assert sql(where([tenant, *client], AUTHOR)) == "authors.tenant = 7 AND (authors.age = 1 OR authors.name = 'x')"


@pytest.mark.parametrize("q", [[], [[]], [[[], []]]], ids=str)
def test_nothing_is_no_where(q: Any) -> None:
    """And changes nothing."""
    assert where(q, AUTHOR) is None


def test_parameters_are_as_wide_as_their_kind_has_it() -> None:
    """PostgreSQL would refuse an integer that the column cannot hold, and round a number to the column's scale."""
    kinds = LIBRARY.kinds
    q = [Condition("small", 2**40), Condition("whole", [2**40], "in"), Condition("number", Decimal("0.001"))]
    text = str(
        where(q, kinds).compile(dialect=postgresql.asyncpg.dialect(), compile_kwargs={"render_postcompile": True})
    )  # type: ignore[union-attr]
    assert text.count("::BIGINT") == 2
    assert text.endswith("::NUMERIC")


class Loud(sa.TypeDecorator[str]):
    """Upper case in the database."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return value and value.upper()


def test_a_type_decorator_has_its_say() -> None:
    """In patterns as in equality."""
    table = sa.Table("loud", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("word", Loud))

    class Word:
        pass

    mapper = registry()
    mapper.map_imperatively(Word, table)
    words = Description(Word, Word)
    conditions = parse(words, q='{"word": "a", "word$like": "a*"}')
    assert sql(where(conditions.q, words)) == "loud.word = 'A' AND loud.word LIKE 'A%' ESCAPE '/'"
    mapper.dispose()


def test_rows_are_sorted_and_the_key_breaks_ties(ids: Any) -> None:
    """Unless they are sorted by the key."""
    assert ids(sort=[Sort("tenant", "DESC")]) == [3, 1, 2]
    assert ids(sort=[Sort("id", "DESC")]) == [3, 2, 1]
    assert ids() == [1, 2, 3]
    query = apply_conditions(AUTHOR.select, Conditions(sort=[Sort("id", "DESC")]), AUTHOR)
    assert str(query).count("authors.id DESC") == 1
    assert not str(query).endswith("ASC")


def test_a_hook_s_query_keeps_its_own(ids: Any) -> None:
    """Conditions are added to it."""
    query = select(Author).where(Author.tenant == 1).order_by(Author.age)
    text = sql(apply_conditions(query, Conditions(q=[Condition("age", 1, "gt")], sort=[Sort("name")]), AUTHOR))
    assert text.endswith(
        "WHERE authors.tenant = 1 AND authors.age > 1 ORDER BY authors.age, authors.name ASC, authors.id ASC"
    )


@pytest.mark.parametrize(
    ("page", "per_page", "limit"),
    [(1, 10, "LIMIT 10 OFFSET 0"), (3, 7, "LIMIT 7 OFFSET 14"), (-5, 10, "LIMIT 10 OFFSET 0")],
)
def test_a_page_is_a_limit_and_an_offset(page: int, per_page: int, limit: str) -> None:
    """Pages count from one, also for a hook."""
    query = page_of(AUTHOR.select, Conditions(page=page, per_page=per_page))
    assert " ".join(sql(query).split()).endswith(limit)


def test_a_page_past_everything_is_empty(engine: Engine) -> None:
    """Even where its offset is more than the database counts."""
    with Session(engine) as session:
        assert session.scalars(page_of(AUTHOR.select, Conditions(page=LARGE))).all() == []


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (Conditions(q=[Condition("nmae", 1)]), "'nmae' is no column of Author. Did you mean 'name'"),
        (Conditions(q=[Condition("name", "a*", "lyke")]), "there is no condition 'lyke'. Did you mean 'like'"),
        (Conditions(q=[Condition("name", "a", "", "xor")]), 'the prefix is "and" or "or"'),
        (Conditions(q=["name"]), "has 'name' in it; it takes Condition objects"),
        (Conditions(q=[[{"name": 1}]]), "has {'name': 1} in it; it takes Condition objects"),
        (Conditions(q=[Condition("age", None, "gt")]), "the value is not None"),
        (Conditions(q=[Condition("age", 1, "in")]), "the value is a list without None"),
        (Conditions(q=[Condition("name", "ab", "notIn")]), "the value is a list without None"),
        (Conditions(q=[Condition("age", [1, None], "notIn")]), "the value is a list without None"),
        (Conditions(q=[Condition("age", [1], "between")]), "the value is a list of two"),
        (Conditions(q=[Condition("age", {1, 2}, "between")]), "the value is a list of two"),
        (Conditions(q=[Condition("age", [1, None], "notBetween")]), "the value is a list of two"),
        (Conditions(q=[Condition("name", 1, "like")]), "the value is a text, and the column one of text"),
        (Conditions(q=[Condition("age", "1*", "notILike")]), "the value is a text, and the column one of text"),
        (Conditions(sort=[Sort("books")]), "'books' is no column of Author"),
        (Conditions(sort=[Sort("name", "down")]), 'the type is "ASC" or "DESC"'),
    ],
    ids=str,
)
def test_a_hook_s_mistake_is_named(conditions: Conditions, message: str) -> None:
    """It is a programming error: no client can cause it."""
    with pytest.raises(ResourceError) as raised:
        apply_conditions(AUTHOR.select, conditions, AUTHOR)
    assert message in str(raised.value)
    assert "Author" in str(raised.value) or "Condition(" in str(raised.value)
