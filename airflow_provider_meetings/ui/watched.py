"""Which meetings are watched: the assets, when each was looked at last, and what happened last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow.models import asset as models
from airflow.models.asset import AssetActive, AssetEvent, AssetModel, DagScheduleAssetReference
from airflow.models.trigger import Trigger
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from airflow_provider_meetings.ui.attention import arguments_of
from airflow_provider_meetings.ui.records import whole
from airflow_provider_meetings.ui.runs import milliseconds

__all__ = ["watched"]

_MAX_ASSETS = 100
_SCHEME = "meetings://"
_WATCH_TRIGGER = "airflow_provider_meetings.triggers.meetings.MeetingsEventTrigger"
_MAX_TEXT = 300


def watched(session: Session, dag_ids: frozenset[str]) -> dict[str, Any]:
    """Return the assets of meetings that are in use, with their watchers and their last events.

    Args:
        session: Airflow's database; the user may read assets.
        dag_ids: The DAGs that may be named; an event that another DAG's task has made is left out.
    """
    assets = session.execute(
        select(AssetModel.id, AssetModel.name, AssetModel.uri)
        .join(AssetActive, (AssetActive.name == AssetModel.name) & (AssetActive.uri == AssetModel.uri))
        .where(AssetModel.uri.startswith(_SCHEME, autoescape=True))
        .order_by(AssetModel.uri)
        .limit(_MAX_ASSETS + 1)
    ).all()
    ids = [asset.id for asset in assets[:_MAX_ASSETS]]
    events, looks = _last_events(session, ids, dag_ids), _last_looks(session, ids)
    windows, dags = _windows(session, ids), _dags(session, ids, dag_ids)
    items = [
        {
            "asset_id": asset.id,
            "name": asset.name,
            "uri": asset.uri,
            "connection": unquote(urlsplit(asset.uri).netloc),
            "dags": dags.get(asset.id, []),
            "watched": asset.id in windows,
            "window": windows.get(asset.id),
            "looked_at": looks.get(asset.id),
            "event": events.get(asset.id),
        }
        for asset in assets[:_MAX_ASSETS]
    ]
    return {"items": items, "total": len(assets)}


def _last_events(session: Session, ids: list[int], dag_ids: frozenset[str]) -> dict[int, dict[str, Any]]:
    seen = or_(AssetEvent.source_dag_id.in_(dag_ids), AssetEvent.source_dag_id.is_(None))
    latest = (
        select(AssetEvent.asset_id, func.max(AssetEvent.timestamp).label("at"))
        .where(AssetEvent.asset_id.in_(ids), seen)
        .group_by(AssetEvent.asset_id)
        .subquery()
    )
    rows = session.execute(
        select(AssetEvent.asset_id, AssetEvent.timestamp, AssetEvent.extra, AssetEvent.source_dag_id)
        .join(latest, (latest.c.asset_id == AssetEvent.asset_id) & (latest.c.at == AssetEvent.timestamp))
        .where(seen)
        .order_by(AssetEvent.id)
    )
    return {row.asset_id: _event(row) for row in rows}


def _event(row: Any) -> dict[str, Any]:
    extra = row.extra if isinstance(row.extra, Mapping) else {}
    payload = extra.get("payload")
    told: Mapping[str, Any] = payload if isinstance(payload, Mapping) else {}
    ids = extra.get("meeting_ids")
    return {
        "at": milliseconds(row.timestamp),
        "kind": _text(told.get("kind") or extra.get("outcome")),
        "reason": _text(told.get("reason")),
        "meeting_id": _text(told.get("id") or (ids[0] if isinstance(ids, list) and len(ids) == 1 else None)),
        "dag_id": row.source_dag_id,
    }


def _last_looks(session: Session, ids: list[int]) -> dict[int, int | None]:
    """Return when the watchers stored last what they know; nothing before Airflow 3.3, where they cannot."""
    try:
        from airflow.models.asset_state_store import AssetStateStoreModel as Store  # noqa: PLC0415 - 3.3 and newer
    except ImportError:
        return {}
    query = select(Store.asset_id, func.max(Store.updated_at).label("at")).where(
        Store.asset_id.in_(ids), Store.key.startswith("meetings/")
    )
    return {row.asset_id: milliseconds(row.at) for row in session.execute(query.group_by(Store.asset_id))}


def _windows(session: Session, ids: list[int]) -> dict[int, dict[str, Any]]:
    """Return what each watcher looks at, by asset."""
    # Airflow 3.1 has a plain table for it.
    model: Any = getattr(models, "AssetWatcherModel", None)
    watcher = model.__table__.c if model else getattr(models, "asset_trigger_association_table").c  # noqa: B009 - not in 3.2
    rows = session.execute(
        select(watcher.asset_id, Trigger)
        .join(Trigger, Trigger.id == watcher.trigger_id)
        .where(watcher.asset_id.in_(ids), Trigger.classpath == _WATCH_TRIGGER)
    )
    names = ("window_start", "window_end", "past", "ahead", "poke_interval")
    return {
        row.asset_id: {name: value for name in names if isinstance(value := kwargs.get(name), int | float)}
        for row in rows
        for kwargs in (arguments_of(row.Trigger),)
    }


def _dags(session: Session, ids: list[int], dag_ids: frozenset[str]) -> dict[int, list[str]]:
    rows = session.execute(
        select(DagScheduleAssetReference.asset_id, DagScheduleAssetReference.dag_id)
        .where(DagScheduleAssetReference.asset_id.in_(ids), DagScheduleAssetReference.dag_id.in_(dag_ids))
        .order_by(DagScheduleAssetReference.dag_id)
    )
    found: dict[int, list[str]] = {}
    for row in rows:
        found.setdefault(row.asset_id, []).append(row.dag_id)
    return found


def _text(value: Any) -> str | None:
    return None if value is None else whole(str(value)[:_MAX_TEXT])
