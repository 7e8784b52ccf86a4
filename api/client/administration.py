"""Verbs about the control plane itself, and those it tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from api.answers.audit import AuditLine, AuditPage
from api.answers.webhooks import (
    DeliveryPage,
    DeliveryView,
    WebhookList,
    WebhookView,
    WebhookWithSecret,
)
from api.answers.whoami import WhoAmI
from api.client.verbs import Verbs
from api.schemas import CaseVerdict, CaseVerdicts, PresetList, PresetView
from api.transport import ApiError, Unreachable


class Administration(Verbs):
    """Presets, verdicts, audit log, health, webhooks."""

    def presets(self) -> list[PresetView]:
        """Every preset."""
        return self._get(PresetList, "/v1/presets").data

    def preset(self, name: str) -> PresetView:
        """One preset with everything it resolves to."""
        return self._get(PresetView, f"/v1/presets/{quote(name, safe='')}")

    def verify(
        self, cases: Sequence[Mapping[str, Any]], *, policy: str = "reward", kind: str = "math"
    ) -> list[CaseVerdict]:
        """Judge responses as a job would: a verdict for each case ``{"gold", "output"}``."""
        body = {"cases": [dict(case) for case in cases], "policy": policy, "kind": kind}
        return self._ask(CaseVerdicts, "POST", "/v1/verify", json=body).data

    def audit(self, after: int = 0, limit: int = 100, tenant: str | None = None) -> list[AuditLine]:
        """Requests that could change something, oldest first, of a tenant or of all."""
        return self._get(AuditPage, "/v1/audit", after=after, limit=limit, tenant=tenant).data

    def audit_log(self) -> Iterator[bytes]:
        """The whole audit log, a JSON object a line, in parts."""
        return self._http.download("/v1/audit.ndjson")

    def prometheus(self) -> str:
        """The series of all jobs at work, in the text format of Prometheus."""
        return self._http.send("GET", "/metrics").text

    def is_alive(self) -> bool:
        """Whether the process of the control plane answers."""
        return self._answers("/livez")

    def is_ready(self) -> bool:
        """Whether its store answers and jobs are being looked after."""
        return self._answers("/readyz")

    def whoami(self) -> WhoAmI:
        """Who the key is, what it may do, what is left of its quota."""
        return self._get(WhoAmI, "/v1/whoami")

    def webhooks(self) -> list[WebhookView]:
        """The tenant's webhooks, oldest first."""
        return self._get(WebhookList, "/v1/webhooks").data

    def webhook(self, webhook_id: str) -> WebhookView:
        """A webhook, without its secret."""
        return self._get(WebhookView, f"/v1/webhooks/{webhook_id}")

    def create_webhook(
        self, url: str, topics: Sequence[str], description: str = ""
    ) -> WebhookWithSecret:
        """Return the webhook with its secret, which is shown once."""
        body = {"url": url, "topics": list(topics), "description": description}
        return self._ask(WebhookWithSecret, "POST", "/v1/webhooks", json=body)

    def rotate_webhook(self, webhook_id: str) -> WebhookWithSecret:
        """Give it a new secret."""
        return self._ask(WebhookWithSecret, "POST", f"/v1/webhooks/{webhook_id}/rotate")

    def test_webhook(self, webhook_id: str) -> DeliveryView:
        """Send it a message that only shows that messages arrive."""
        return self._ask(DeliveryView, "POST", f"/v1/webhooks/{webhook_id}/test")

    def delete_webhook(self, webhook_id: str) -> None:
        """Tell it nothing more."""
        self._http.json("DELETE", f"/v1/webhooks/{webhook_id}")

    def deliveries(self, webhook_id: str, limit: int = 20) -> list[DeliveryView]:
        """What was sent, is due, or was given up, the newest first."""
        return self._get(DeliveryPage, f"/v1/webhooks/{webhook_id}/deliveries", limit=limit).data

    def redeliver(self, webhook_id: str, delivery_id: str) -> DeliveryView:
        """Send a message once more."""
        path = f"/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver"
        return self._ask(DeliveryView, "POST", path)

    def _answers(self, path: str) -> bool:
        try:
            self._http.json("GET", path)
        except (ApiError, Unreachable):
            return False
        return True
