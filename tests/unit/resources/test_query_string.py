"""What a query string may say, what it becomes, and what is refused."""

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from interceptors.resources.conditions import Condition, Conditions, Sort, With
from interceptors.resources.description import Description
from interceptors.resources.errors import ApiError
from interceptors.resources.query_parameters import query_parameters
from interceptors.resources.query_string import parse_conditions
from tests.unit.resources.query_support import LIBRARY, Colour, parse


def refusal(description: Any = LIBRARY.author, **sent: str) -> str:
    """The message of the 400."""
    with pytest.raises(ApiError) as raised:
        parse(description, **sent)
    assert raised.value.status == 400
    raised.value.message.encode()
    return raised.value.message


def q(tree: Any, description: Any = LIBRARY.author) -> Any:
    """What `conditions.q` is for a JSON value."""
    return parse(description, q=json.dumps(tree)).q


def refused(tree: Any, description: Any = LIBRARY.author) -> str:
    return refusal(description, q=json.dumps(tree))


# -- page, per_page, sort, fields --------------------------------------------------------------------------------------


def test_without_parameters_it_is_the_first_page_of_ten() -> None:
    """An empty query string gives the defaults."""
    assert parse() == Conditions(page=1, per_page=10, sort=[], fields=[], q=[], with_=[])


@pytest.mark.parametrize(
    ("text", "page"),
    [("3", 3), ("0", 1), ("-4", 1), ("", 1), ("abc", 1), ("1.5", 1), ("1_0", 1), ("٣", 1), ("007", 7), ("NaN", 1)],
)
def test_a_page_below_one_or_no_number_is_the_first(text: str, page: int) -> None:
    """`page` is never refused."""
    assert parse(page=text).page == page


@pytest.mark.parametrize("digits", [16, 20, 5_000, 1_000_000])
def test_a_page_past_everything_stays_a_number_that_databases_know(digits: int) -> None:
    """No number of digits is an error, nor more than 64 bits."""
    assert parse(page="9" * digits).page == 10**15


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("100", 100), ("010", 10)])
def test_per_page_is_one_to_a_hundred(text: str, size: int) -> None:
    """The bounds are included."""
    assert parse(per_page=text).per_page == size


@pytest.mark.parametrize("text", ["0", "101", "-1", "", "x", "1e1", "9" * 20, "1_0"])
def test_per_page_out_of_bounds_is_refused(text: str) -> None:
    """Unlike `page`."""
    assert refusal(per_page=text) == "per_page is a number from 1 to 100"


def test_of_a_repeated_parameter_the_last_counts() -> None:
    """As of the keys of a JSON object."""
    conditions = parse_conditions([("page", "2"), ("page", "3")], LIBRARY.author, paging=True, sorting=True)
    assert conditions.page == 3


def test_other_parameters_are_ignored() -> None:
    """Also those that this handler does not take, whatever they say."""
    assert parse(paging=False, sorting=False, page="7", per_page="x", sort="zzz", unknown="1") == Conditions()


def test_sort_takes_columns_with_a_sign() -> None:
    """`+`, which a URL turns into a space, is ascending, `-` descending; a column counts where it stands first."""
    expected = [Sort("name", "DESC"), Sort("age", "ASC"), Sort("id", "ASC"), Sort("born", "ASC")]
    assert parse(sort="-name,+age, id,,born,name,").sort == expected
    assert parse(sort="").sort == []


@pytest.mark.parametrize("parameter", ["sort", "fields"])
def test_every_unknown_and_hidden_column_is_named_alike(parameter: str) -> None:
    """In their order, each once."""
    assert refusal(**{parameter: "zzz,name,secret,books,zzz"}) == "Undefined column names: zzz, secret, books"


def test_a_bare_sign_is_no_column() -> None:
    """Nothing is left of it."""
    assert refusal(sort="-") == "Undefined column names: "


def test_nothing_is_sorted_by_json() -> None:
    """PostgreSQL has no order for it."""
    assert refusal(LIBRARY.kinds, sort="data") == "Nothing can be sorted by data"


def test_fields_are_columns_or_a_star() -> None:
    """The star is all of them; none is all of them, too."""
    assert parse(fields="name, id,name").fields == ["name", "id"]
    assert parse(fields="*").fields == parse(fields="name,*").fields == parse(fields="").fields == []


def test_a_long_refusal_is_cut() -> None:
    """An answer does not repeat a megabyte."""
    assert len(refusal(fields=",".join(f"f{n}" for n in range(100_000)))) < 400


# -- q -----------------------------------------------------------------------------------------------------------------


def test_an_object_is_one_list_of_conditions() -> None:
    """What the client sent is one entry."""
    assert q({"name": "Ada", "$or.age$gte": 18, "$and.active": True}) == [
        [Condition("name", "Ada"), Condition("age", 18, "gte", "or"), Condition("active", True)]
    ]


def test_an_array_is_a_list_of_groups() -> None:
    """Its objects and arrays nest as they stand."""
    assert q([{"age": 1}, [{"$or.age": 2}, {"age$not": 3}]]) == [
        [[Condition("age", 1)], [[Condition("age", 2, "", "or")], [Condition("age", 3, "not")]]]
    ]


@pytest.mark.parametrize("tree", [{}, [], [{}], [[], [{}, []]]])
def test_what_is_empty_says_nothing(tree: Any) -> None:
    """No entry."""
    assert q(tree) == []


@pytest.mark.parametrize("suffix", ["$not", "$gt", "$gte", "$lt", "$lte", "$like", "$notLike", "$iLike", "$notILike"])
def test_every_suffix_of_one_value(suffix: str) -> None:
    """The suffix without its dollar is the condition."""
    assert q({f"name{suffix}": "a*"}) == [[Condition("name", "a*", suffix[1:])]]


@pytest.mark.parametrize("suffix", ["$in", "$notIn", "$between", "$notBetween"])
def test_every_suffix_of_several_values(suffix: str) -> None:
    """Each value is parsed."""
    assert q({f"born{suffix}": ["2026-01-02", "2026-01-03"]}) == [
        [Condition("born", [date(2026, 1, 2), date(2026, 1, 3)], suffix[1:])]
    ]


def test_a_list_may_be_empty() -> None:
    """It means nothing, or everything."""
    assert q({"age$in": []}) == [[Condition("age", [], "in")]]


def test_null_goes_with_equality() -> None:
    """And with its negation."""
    assert q({"age": None, "name$not": None, "active": None}) == [
        [Condition("age", None), Condition("name", None, "not"), Condition("active", None)]
    ]


@pytest.mark.parametrize("suffix", ["$gt", "$like", "$in", "$between"])
def test_null_goes_with_nothing_else(suffix: str) -> None:
    """It would never be true."""
    assert refused({f"name{suffix}": None}) == f"null goes with equality and $not alone, not with name{suffix}"


@pytest.mark.parametrize("tree", [{"age$in": [1, None]}, {"age$between": [None, 1]}])
def test_null_is_no_value_of_an_array(tree: Any) -> None:
    """`notIn` with a NULL would be true for no row."""
    assert refused(tree).startswith("Unacceptable value of age: ")


@pytest.mark.parametrize(
    ("column", "sent", "value"),
    [
        ("text", "x", "x"),
        ("whole", "7", 7),
        ("whole", 7.0, 7),
        ("flag", "true", True),
        ("real", 1, 1.0),
        ("number", 1.25, Decimal("1.25")),
        ("blob", "aGk=", b"hi"),
        ("moment", "2026-01-01T12:00:00+02:00", datetime(2026, 1, 1, 10)),
        ("colour", "red", Colour.RED),
        ("word", "two", "two"),
    ],
)
def test_values_are_parsed_by_the_column_s_type(column: str, sent: Any, value: Any) -> None:
    """Leniently, as pydantic does."""
    assert q({column: sent}, LIBRARY.kinds) == [[Condition(column, value)]]


@pytest.mark.parametrize(
    ("column", "sent"),
    [
        ("text", 5),
        ("text", "a\0"),
        ("text", "\ud800"),
        ("text", ["x"]),
        ("whole", "x"),
        ("whole", 1.5),
        ("whole", 2**63),
        ("whole", 10**4_000),
        ("whole", {}),
        ("real", "nan"),
        ("real", 10**400),
        ("number", "1e99999999"),
        ("number", "Infinity"),
        ("flag", 2),
        ("blob", "éa"),
        ("day", "2026-02-30"),
        ("moment", "0001-01-01T00:00:00+23:59"),
        ("instant", "9999-12-31T23:59:59-23:59"),
        ("instant", "2026-01-01T00:00:00"),
        ("clock", "10:00:00Z"),
        ("span", "P99999999D"),
        ("key", "x"),
        ("key_text", "x"),
        ("colour", "RED"),
        ("word", "three"),
    ],
)
def test_what_the_type_does_not_take_is_refused(column: str, sent: Any) -> None:
    """Naming the column and pydantic's reason."""
    assert refused({column: sent}, LIBRARY.kinds).startswith(f"Unacceptable value of {column}: ")


@pytest.mark.parametrize("column", [name for name in LIBRARY.kinds.columns if name not in ("id", "blob")])
@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 4_000], ids=["infinite", "-infinite", "long"])
def test_numbers_that_python_has_no_float_for_are_refused(column: str, number: str) -> None:
    """JSON can spell an infinity with digits."""
    assert refusal(LIBRARY.kinds, q=f'{{"{column}": {number}}}')


@pytest.mark.parametrize("tree", [{"data": 1}, {"data": {}}, {"data$in": []}, {"data$like": "x"}])
def test_json_is_compared_with_null_alone(tree: Any) -> None:
    """Databases do not agree on more."""
    assert refused(tree, LIBRARY.kinds) == "data can be compared with null alone"
    assert q({"data": None}, LIBRARY.kinds) == [[Condition("data", None)]]


@pytest.mark.parametrize("tree", [{"age$like": "1*"}, {"name$like": 1}, {"name$iLike": ["a"]}])
def test_patterns_are_for_text(tree: Any) -> None:
    """A text column and a text."""
    assert refused(tree).endswith(" needs a text column and a text")


def test_a_pattern_has_a_length_that_sqlite_takes() -> None:
    """1,000 characters and no more."""
    assert q({"name$like": "*" * 1_000})
    assert refused({"name$like": "*" * 1_001}) == "name$like takes no more than 1000 characters"


@pytest.mark.parametrize("value", [1, "x", {}, [1], [1, 2, 3]])
def test_between_takes_two(value: Any) -> None:
    """No more, no less."""
    assert refused({"age$between": value}) == "age$between takes an array of two values"


@pytest.mark.parametrize("value", [1, "1,2", {"a": 1}])
def test_in_takes_an_array(value: Any) -> None:
    """Not the text of one."""
    assert refused({"age$in": value}) == "age$in takes an array"


def test_arrays_have_so_many_values_in_all() -> None:
    """Databases have a limit on parameters."""
    most = {"age$in": [1] * 4_000, "age$notIn": [1] * 6_000}
    assert q(most)
    assert refused({**most, "id$in": [1]}) == "q has more than 10000 values in arrays"


def test_every_unknown_and_hidden_column_of_q_is_named() -> None:
    """In their order, from every level."""
    assert refused([{"zzz": 1, "secret$like": "a*"}, [{"$or.author.name$gt": 1}]]) == (
        "Undefined column names: zzz, secret, author.name"
    )


@pytest.mark.parametrize("key", ["", "$gt", "$or.", "$or.$and.name", "Name", "name ", "books", "__class__"])
def test_a_key_without_a_column_is_refused(key: str) -> None:
    """Names are exact."""
    assert refused({key: 1}).startswith("Undefined column names: ")


@pytest.mark.parametrize("key", ["name$", "name$foo", "name$GT", "name$gt$lt", "name$ gt"])
def test_an_unknown_suffix_is_refused(key: str) -> None:
    """With the key as it was sent."""
    assert refused({key: "x"}) == f"Unknown condition: {key}"


@pytest.mark.parametrize("text", ["", "x", "{", "'a'", '{"age": NaN}', '{"age": -Infinity}', "{'a': 1}", "\0"])
def test_what_is_no_json_is_refused(text: str) -> None:
    """Also what Python would take for JSON."""
    assert refusal(q=text) == "q is not valid JSON"


@pytest.mark.parametrize("part", ["[", '{"a":', "9"])
def test_json_that_python_cannot_read_is_refused(part: str) -> None:
    """Too deep for its recursion, or with more digits than it reads."""
    assert refusal(q=part * 100_000) == "q is not valid JSON"


@pytest.mark.parametrize("tree", [1, "x", None, True, [1], [[{"age": 1}], "x"], [None]])
def test_what_is_no_object_or_array_is_refused(tree: Any) -> None:
    """At every level."""
    assert refused(tree) == "q is a JSON object, or an array of objects and arrays"


def test_there_are_a_hundred_conditions_at_most() -> None:
    """Wherever they stand."""
    assert q([{"age": 1}] * 100)
    assert refused([{"age": 1}] * 101) == "q has more than 100 conditions"


def test_there_are_ten_levels_at_most() -> None:
    """The outermost is the first."""
    tree: Any = {"age": 1}
    for _ in range(9):
        tree = [tree]
    assert q(tree)
    assert refused([tree]) == "q has more than 10 levels"


def test_a_refusal_is_text_that_can_be_sent() -> None:
    """Half of a surrogate pair has no UTF-8."""
    assert refusal(q='{"\\ud800": 1}') == "Undefined column names: \\ud800"
    assert refusal(q='{"name$\\ud800": 1}') == "Unknown condition: name$\\ud800"


# -- with --------------------------------------------------------------------------------------------------------------


def test_with_takes_relations_their_columns_and_relations() -> None:
    """Braces hold what belongs to the relation."""
    assert parse(with_="books{title|tags{id}|title} , profile").with_ == [
        With("books", ["title"], [With("tags", ["id"])]),
        With("profile"),
    ]
    assert parse(with_="mentor{mentor{mentor}}").with_ == [With("mentor", [], [With("mentor", [], [With("mentor")])])]
    assert parse(with_="").with_ == parse(with_=" ").with_ == []


def test_unknown_relations_are_named() -> None:
    """Also one inside of a relation, and a column with braces."""
    assert refusal(with_="zzz,books{title{id}|yyy{id}},name") == "Undefined relation names: zzz, title, yyy, name"


def test_unknown_and_hidden_columns_of_a_relation_are_named() -> None:
    """By that relation's resource."""
    assert refusal(with_="mentor{secret|id|name|zzz},books{name}") == "Undefined column names: secret, zzz, name"


@pytest.mark.parametrize(
    "text",
    [
        ",",
        "books,",
        ",books",
        "books{",
        "books{}",
        "books{title",
        "books{title|}",
        "books{|title}",
        "books{title,id}",
        "books|profile",
        "books{title}}",
        "books{title}{id}",
        "books{title}profile",
        "books{title}}{",
        "{books}",
        "}",
        "|",
    ],
)
def test_with_that_is_written_otherwise_is_refused(text: str) -> None:
    """The message shows how."""
    assert refusal(with_=text).startswith("with is written posts{title|comments{id}},author; unexpected: ")


def test_with_has_ten_levels_at_most() -> None:
    """Each is a query."""
    assert parse(with_="{".join(["mentor"] * 10) + "}" * 9).with_
    assert refusal(with_="{".join(["mentor"] * 11) + "}" * 10) == "with has more than 10 levels"
    assert refusal(with_="mentor{" * 100_000) == "with has more than 10 levels"


def test_with_takes_a_relation_once_and_twenty_in_all() -> None:
    """Each is a query, and the second would replace the first."""
    message = "with takes a relation once, and no more than 20 in all"
    assert refusal(with_="books,books{id}") == message
    inside = "profile|books|pupils"
    assert parse(with_=f"books{{author{{{inside}|mentor{{{inside}}}}}}},mentor{{{inside}}},pupils{{{inside}}}").with_
    most = f"books{{author{{{inside}|mentor{{{inside}|mentor}}}}}},mentor{{{inside}|mentor}},pupils{{{inside}|mentor}}"
    assert refusal(with_=f"{most},profile{{author{{books|pupils}}}}") == message


# -- OpenAPI -----------------------------------------------------------------------------------------------------------


def test_the_documented_examples_and_patterns_are_accepted() -> None:
    """What the description says can be sent."""
    documented = {each["name"]: each for each in query_parameters(LIBRARY.author, paging=True, sorting=True)}
    assert list(documented) == ["page", "per_page", "sort", "fields", "q", "with"]
    assert all(each["in"] == "query" and not each["required"] and each["description"] for each in documented.values())
    assert documented["per_page"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}
    assert documented["page"]["schema"] == {"type": "integer", "minimum": 1, "default": 1}
    assert parse(**{name: each["example"] for name, each in documented.items() if "example" in each})


def test_hidden_columns_are_not_documented() -> None:
    """Their names are nobody's business."""
    assert "secret" not in json.dumps(query_parameters(LIBRARY.author, paging=True, sorting=True))


def test_a_resource_without_visible_columns_has_pages_alone() -> None:
    """There is nothing to name."""
    nothing = Description(LIBRARY.tag.resource, LIBRARY.Tag, frozenset(LIBRARY.tag.columns))
    documented = query_parameters(nothing, paging=True, sorting=True)
    assert [each["name"] for each in documented] == ["page", "per_page"]


def test_show_documents_what_it_takes() -> None:
    """Neither pages nor an order."""
    assert [each["name"] for each in query_parameters(LIBRARY.kinds, paging=False, sorting=False)] == ["fields", "q"]


def test_only_what_can_be_sorted_by_is_documented_for_sort() -> None:
    """JSON cannot."""
    sort = next(each for each in query_parameters(LIBRARY.kinds, paging=False, sorting=True) if each["name"] == "sort")
    assert "|word)" in sort["schema"]["pattern"]
    assert "data" not in sort["schema"]["pattern"]
