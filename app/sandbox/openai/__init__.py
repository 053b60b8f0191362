"""Stand-in for a server that speaks OpenAI's API: strict about requests, with a model that knows a few words."""

from app.sandbox.openai.api import Openai

__all__ = ["Openai"]
