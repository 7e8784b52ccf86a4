"""``laconic keys``: who may talk to the control plane. Works on the home folder and the store it
names, so only who may write there can make a key."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from api.commands.options import AsJson, HomeFolder, err, out
from api.first_keys import BadTokenFile, read_token
from api.overrides import BadInput
from services.control.api_keys import (
    TENANT,
    ApiKey,
    BadToken,
    key_of,
    make_key,
)
from services.control.api_keys import rotate as rotated
from services.control.key_import import Imported, import_key
from services.control.principal import SCOPES, Scope
from services.control.secret import server_secret
from services.control.stores import ControlStores, open_control
from services.home import Home
from services.stores.protocol import DEFAULT_TENANT

app = typer.Typer(help="Who may talk to the control plane.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="Id of the key, key-...", metavar="KEY")]
Name = Annotated[str, typer.Argument(help="Whom it is for.", metavar="NAME")]
Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", help=f"What it may do; repeat it. One of {', '.join(SCOPES)}."),
]
Tenant = Annotated[str, typer.Option(help="Whose jobs it sees.")]
_SAID: Final[dict[Imported, str]] = {
    "added": "is there now",
    "known": "is already there",
    "rotated": "was rotated since; this token is the old one",
    "revoked": "was revoked and stays so: this token opens nothing",
}
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@app.command()
def create(
    name: Name,
    scope: Scopes = None,
    tenant: Tenant = DEFAULT_TENANT,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 90d, 12h, 30m. Never without it.")
    ] = None,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show its token, once. Requests need a key from the first one on."""
    _check(name, tenant)
    place, control = _open(home)
    key, token = make_key(
        server_secret(place.secret),
        name=name,
        scopes=_scopes(scope),
        now=time.time(),
        tenant=tenant,
        lifetime=None if expires is None else _seconds("--expires", expires),
    )
    if not control.keys.add(key):
        raise RuntimeError(f"there is a {key.id} already, by chance; make the key again")
    _show_token(key, token, as_json=as_json)


@app.command("import")
def import_(
    name: Name,
    token_file: Annotated[
        Path, typer.Option("--token-file", help="File that holds the token.", metavar="FILE")
    ],
    scope: Scopes = None,
    tenant: Tenant = DEFAULT_TENANT,
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Make the key of a token that was made elsewhere, e.g. by a Secret. Nothing is changed where
    it is there already, so this can be said at every start, by several at once."""
    _check(name, tenant)
    scopes = _scopes(scope)
    place, control = _open(home)
    try:
        token = read_token(token_file)
        key = key_of(
            server_secret(place.secret),
            token,
            name=name,
            scopes=scopes,
            now=time.time(),
            tenant=tenant,
        )
        outcome = import_key(control.keys, key)
    except BadTokenFile as error:
        raise BadInput(f"--token-file: {error}") from None
    except BadToken as error:
        raise BadInput(f"--token-file {token_file}: {error}") from None
    found = _found(control, key.id)
    if as_json:
        print(json.dumps({**_view(found), "outcome": outcome}))
        return
    shown = f"{found.id} for {found.name} of tenant {found.tenant} with {' '.join(_order(found))}"
    out.print(f"{shown} {_SAID[outcome]}", soft_wrap=True, highlight=False)
    asked = (name, tenant, frozenset(scopes))
    if asked != (found.name, found.tenant, found.scopes):
        err.print("name, tenant and scopes stay as they are; for others make another key")


@app.command("list")
def list_(home: HomeFolder = None, as_json: AsJson = False) -> None:
    """Show every key there ever was, without its token."""
    _, control = _open(home)
    keys = control.keys.all()
    if as_json:
        print(json.dumps([_view(k) for k in keys]))
        return
    table = Table("id", "name", "tenant", "scopes", "status", "expires", "last used")
    for k in keys:
        scopes, status = " ".join(sorted(k.scopes)), k.status(time.time())
        times = (_when(k.expires_at), _when(k.last_used_at))
        table.add_row(k.id, k.name, k.tenant, scopes, status, *times)
    out.print(table if keys else "no keys yet: everybody on this machine may do anything")


@app.command()
def revoke(key: KeyId, home: HomeFolder = None) -> None:
    """Have a key open nothing any more, within a second."""
    _, control = _open(home)
    found = _found(control, key)
    control.keys.replace(replace(found, revoked_at=found.revoked_at or time.time()))
    out.print(f"{key} opens nothing any more")


@app.command()
def rotate(
    key: KeyId,
    overlap: Annotated[
        str, typer.Option(help="How long the old token still counts: 24h, 30m, 0s.")
    ] = "24h",
    home: HomeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new token and show it, once."""
    place, control = _open(home)
    seconds = _seconds("--overlap", overlap)
    changed, token = rotated(
        server_secret(place.secret), _found(control, key), now=time.time(), overlap=seconds
    )
    control.keys.replace(changed)
    _show_token(changed, token, as_json=as_json)


def _open(home: Any) -> tuple[Home, ControlStores]:
    place = Home.resolve(home).create()
    return place, open_control(place)


def _check(name: str, tenant: str) -> None:
    if not re.fullmatch(TENANT, tenant):
        raise BadInput(f"--tenant {tenant}: use small letters, digits and dashes, at most 40")
    if not (0 < len(name) <= 100 and name.isprintable()):
        raise BadInput("NAME must have 1 to 100 printable characters")


def _order(key: ApiKey) -> list[Scope]:
    return [s for s in SCOPES if s in key.scopes]


def _found(control: ControlStores, key_id: str) -> ApiKey:
    if (key := control.keys.find(key_id)) is None:
        raise BadInput(f"there is no key {key_id!r}; laconic keys list shows them")
    return key


def _scopes(given: list[str] | None) -> list[Scope]:
    if not given:
        raise BadInput(f"give --scope, once for each of {', '.join(SCOPES)} it shall have")
    if unknown := [s for s in given if s not in SCOPES]:
        raise BadInput(f"--scope {unknown[0]}: there are {', '.join(SCOPES)}")
    return [s for s in SCOPES if s in given]


def _seconds(option: str, text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if match is None:
        raise BadInput(f"{option} {text}: write a number and s, m, h or d, e.g. 90d")
    return int(match[1]) * _UNITS[match[2]]


def _show_token(key: ApiKey, token: str, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**_view(key), "token": token}))
        return
    print(token)
    err.print(
        f"{key.id} for {key.name} of tenant {key.tenant}; this is shown once. Send it as "
        "Authorization: Bearer TOKEN, or set LACONIC_API_KEY",
        soft_wrap=True,
        highlight=False,
    )


def _view(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "prefix": key.prefix,
        "name": key.name,
        "tenant": key.tenant,
        "scopes": sorted(key.scopes),
        "status": key.status(time.time()),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
    }


def _when(seconds: float | None) -> str:
    return "never" if seconds is None else time.strftime("%F %R", time.localtime(seconds))
