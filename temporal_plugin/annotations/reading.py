"""From rows to samples: what the readers of all datasets share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.row_files import OnError, Row
from temporal_plugin.annotations.sample import Sample


def samples(
    rows: Iterable[Row],
    on_error: OnError,
    convert: Callable[[dict[str, Any], int], dict[str, Any]],
    names: Mapping[str, str] | None = None,
) -> Iterator[Sample]:
    """A sample of each row, in order; a row that cannot become one goes to `on_error`.

    Args:
        rows: of `row_files`; reading goes on after a bad one if `on_error` returns.
        convert: (row, its number from 0) -> the fields of its Sample; may raise AnnotationError.
        names: what our fields are called in the file, for errors.
    """
    names = names or {}
    for where, number, row in rows:
        try:
            if not isinstance(row, dict):
                raise AnnotationError("not an object", value=row, allowed="an object per row")
            sample = Sample.from_dict(convert(row, number), where=where)
        except AnnotationError as error:
            error.field = names.get(error.field, error.field)
            on_error(error.at(where))
            continue
        yield sample


def need(row: Mapping[str, Any], *names: str) -> None:
    """Raises AnnotationError for the first of `names` that `row` lacks."""
    for name in names:
        if name not in row:
            raise AnnotationError(
                "missing", field=name, allowed=f"every row has {', '.join(names)}"
            )


def rest(row: Mapping[str, Any], *taken: str) -> dict[str, Any]:
    """The fields of the row that are not among `taken`: they are kept in `extra`."""
    return {name: value for name, value in row.items() if name not in taken}


def video_file(field: str, video: object, extension: str) -> str:
    """The file name of the video with this id, which may name no folder."""
    name = check.text(field, video)
    if "/" in name or "\\" in name:
        raise AnnotationError(
            "not a video id",
            field=field,
            value=video,
            allowed="a file name without folder and extension",
        )
    return name + extension


def below(field: str, path: object, prefix: str) -> object:
    """`path` without the `prefix` that all paths of the file begin with."""
    if not prefix:
        return path
    text = check.text(field, path)
    if not text.startswith(prefix) or text == prefix:
        raise AnnotationError(
            "does not begin as all paths of the file should",
            field=field,
            value=path,
            allowed=f"paths that begin with {prefix!r}",
            remedy="correct `strip_prefix`",
        )
    return text[len(prefix) :].lstrip("/")


def id_part(field: str, value: object) -> str:
    """`value`, a string or an integer, as a part of a sample's id."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return check.text(field, value)


def sample_id(*parts: str) -> str:
    """The parts that are not empty, joined by slashes."""
    return "/".join(part for part in parts if part)


def window(row: Mapping[str, Any], start: str, end: str) -> list[Any] | None:
    """The stretch of the file that the row's times are relative to, or None for all of it.

    Whether it still has to be cut from the file is not known here: the clip policy decides.

    Raises:
        AnnotationError: only one of the two is there.
    """
    bounds = [row.get(start), row.get(end)]
    if bounds == [None, None]:
        return None
    for name, value in zip((start, end), bounds, strict=True):
        if value is None:
            raise AnnotationError(
                "only one end of the clip is given",
                field=name,
                value=value,
                allowed=f"{start} and {end} in seconds, or neither",
            )
    return bounds
