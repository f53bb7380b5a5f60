"""Serve a reranker over HTTP: ``/rerank``, ``/health`` and ``/metrics``.

A request passes ``limits`` (token, size, time), ``app`` (routes), ``protocol`` (its two forms) and
``rerankers.batching`` (one thread that scores what waits). ``server`` owns the socket and the
signals.
"""
