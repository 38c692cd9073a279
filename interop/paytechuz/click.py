"""What the PyPI package `paytechuz` makes of CLICK: its pay link, and its webhook handler's reading of messages.

Reads one JSON object from standard input and writes one to standard output; uses the package as an application would,
through what it exports, with Django's settings and a database in memory.

in:  {"service_id", "merchant_id", "secret_key", "order", "amount", "return_url", "messages": [{field: value}, …]}
out: {"version", "link", "heard": [{"asked": [field, …], "answer": {…}}, …]}
"""

import json
import sys
from importlib.metadata import version

import django
from django.conf import settings
from django.core.management import call_command


class Order:
    """What is for sale, looked up as a Django model is."""

    class DoesNotExist(Exception):
        pass

    class _default_manager:
        @staticmethod
        def get(**lookup):
            if lookup != {"id": wanted["order"]}:
                raise Order.DoesNotExist
            return Order()

    def __init__(self):
        self.id = wanted["order"]
        self.amount = wanted["amount"]


class Form(dict):
    """A form that remembers which of its fields were asked for."""

    def __init__(self, fields):
        super().__init__(fields)
        self.asked = []

    def get(self, name, default=None):
        if name not in self.asked:
            self.asked.append(name)
        return super().get(name, default)

    def dict(self):
        return self


class Request:
    method = "POST"

    def __init__(self, fields):
        self.POST = Form(fields)


def heard(webhook, fields):
    request = Request(fields)
    answer = webhook().post(request)
    return {"asked": request.POST.asked, "answer": json.loads(answer.content)}


def main():
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["paytechuz.integrations.django"],
        USE_TZ=True,
        PAYTECHUZ={
            "CLICK": {
                "SERVICE_ID": wanted["service_id"],
                "MERCHANT_ID": wanted["merchant_id"],
                "SECRET_KEY": wanted["secret_key"],
                "ACCOUNT_MODEL": "__main__.Order",
            }
        },
    )
    django.setup()
    call_command("migrate", verbosity=0)
    from paytechuz.gateways.click import ClickGateway
    from paytechuz.integrations.django.webhooks.click import ClickWebhook

    gateway = ClickGateway(
        service_id=wanted["service_id"],
        merchant_id=wanted["merchant_id"],
        secret_key=wanted["secret_key"],
    )
    link = gateway.create_payment(
        id=wanted["order"], amount=wanted["amount"], return_url=wanted["return_url"]
    )
    answers = [heard(ClickWebhook, fields) for fields in wanted["messages"]]
    json.dump({"version": version("paytechuz"), "link": link, "heard": answers}, sys.stdout)


wanted = json.load(sys.stdin)
main()
