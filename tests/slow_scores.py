"""The published scores written out from their definitions, query by query with full sorts and loops: what the tests compare with.

Scores are exact: features in these tests are small whole numbers, so that every order of summation gives the same products.
"""

from __future__ import annotations

import math

import numpy as np


def sorted_rows(query, gallery, junk=()):
    """Rows best first as the sorting scripts have them, ties in reverse row order, junk taken out."""
    order = sorted(range(len(gallery)), key=lambda row: (-float(np.dot(query, gallery[row])), -row))
    return [row for row in order if row not in set(junk)]


def university(query, query_ids, gallery, gallery_ids, *, drop=False):
    """R@K and trapezoid AP over all queries."""
    junk = [row for row, name in enumerate(gallery_ids) if name == -1 or (drop and name not in set(query_ids))]
    n = len(gallery_ids)
    curve, total = np.zeros(n + 10), 0.0
    for one, name in zip(query, query_ids, strict=True):
        places = [place for place, row in enumerate(sorted_rows(one, gallery, junk)) if gallery_ids[row] == name]
        if not places:
            continue
        curve[places[0] :] += 1
        for i, place in enumerate(places):
            new, old = (i + 1) / (place + 1), i / place if place else 1.0
            total += (old + new) / 2 / len(places)
    curve /= len(query_ids)
    return {"R@1": curve[0], "R@5": curve[4], "R@10": curve[9], "R@1%": curve[round(n * 0.01)], "AP": total / len(query_ids)}


def greater(query, query_ids, gallery, gallery_ids, semi=None):
    """R@K of counting strictly higher scores; the last row of an id is the true one."""
    row_of = {name: row for row, name in enumerate(gallery_ids)}
    ks = {"R@1": 1, "R@5": 5, "R@10": 10, "R@1%": len(gallery_ids) // 100}
    hits, hit = dict.fromkeys(ks, 0), 0
    for number, (one, name) in enumerate(zip(query, query_ids, strict=True)):
        scores = [float(np.dot(one, other)) for other in gallery]
        higher = [row for row, score in enumerate(scores) if score > scores[row_of[name]]]
        for metric, k in ks.items():
            hits[metric] += len(higher) < k
        if semi is not None:
            hit += not set(higher) - {row_of[other] for other in semi[number] if other != -1}
    result = {metric: count / len(query_ids) for metric, count in hits.items()}
    return result if semi is None else {**result, "hit": hit / len(query_ids)}


def near_recall(query, query_xy, gallery, gallery_xy, metres):
    """R@K of any of the first K within some metres."""
    hits = {1: 0, 5: 0, 10: 0}
    for one, at in zip(query, query_xy, strict=True):
        near = [math.hypot(*(gallery_xy[row] - at)) <= metres for row in sorted_rows(one, gallery)]
        for k in hits:
            hits[k] += any(near[:k])
    return {f"R@{k}<{metres:g}m": count / len(query) for k, count in hits.items()}


def denseuav(query, query_lonlat, gallery, gallery_lonlat, junk=()):
    """SDM@K in degrees of float32 and MA@K by haversine."""
    result = {f"SDM@{k}": 0.0 for k in (1, 3, 5, 10)} | {f"MA@{k}": 0.0 for k in range(1, 101)}
    for one, at in zip(query, query_lonlat, strict=True):
        rows = sorted_rows(one, gallery, junk)
        for k in (1, 3, 5, 10):
            above = below = 0.0
            for i, row in enumerate(rows[:k]):
                east, north = np.float32(gallery_lonlat[row]) - np.float32(at)
                above += (1 - i / k) * math.exp(-5000 * float(np.sqrt(east * east + north * north)))
                below += 1 - i / k
            result[f"SDM@{k}"] += above / below / len(query)
        lon1, lat1, lon2, lat2 = map(math.radians, (*at, *gallery_lonlat[rows[0]]))
        half = math.sin((lat1 - lat2) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon1 - lon2) / 2) ** 2
        metres = 6378.137 * 2 * math.asin(math.sqrt(half)) * 1000
        for k in range(1, 101):
            result[f"MA@{k}"] += (metres < k) / len(query)
    return result


def gtauav(query, query_xy, gallery, gallery_xy, right):
    """R@K, AP of the answered queries, SDM@K and Dis@K in metres; ``right`` holds a set of rows for each query."""
    n = len(gallery)
    curve, aps = np.zeros(n + 10), []
    result = {f"{name}@{k}": 0.0 for name in ("SDM", "Dis") for k in (1, 3, 5)}
    for one, at, good in zip(query, query_xy, right, strict=True):
        rows = sorted_rows(one, gallery)
        places = [place for place, row in enumerate(rows) if row in good]
        if places:
            curve[places[0] :] += 1
            # the area under precision against recall in steps
            recall = precision_sum = 0.0
            for i, place in enumerate(places, start=1):
                precision_sum += (i / len(places) - recall) * i / (place + 1)
                recall = i / len(places)
            aps.append(precision_sum)
        away = [math.hypot(*(gallery_xy[row] - at)) for row in rows]
        for k in (1, 3, 5):
            weights = [k - i for i in range(k)]
            result[f"SDM@{k}"] += sum(w * math.exp(-0.001 * d) for w, d in zip(weights, away[:k], strict=True)) / sum(weights) / len(query)
            result[f"Dis@{k}"] += sum(away[:k]) / k / len(query)
    curve /= len(query)
    cmc = {"R@1": curve[0], "R@5": curve[4], "R@10": curve[9], "R@1%": curve[round(n * 0.01)]}
    return {**cmc, "AP": sum(aps) / len(aps) if aps else None, **result}


def strict(query, gallery, right, junk=()):
    """Strict R@K and AP, of cosines; ``right`` holds a set of rows for each query."""
    seen = [row for row in range(len(gallery)) if row not in set(junk)]
    ks = {"R@1": 1, "R@5": 5, "R@10": 10, "R@1%": max(1, len(seen) // 100)}
    result = dict.fromkeys((*ks, "AP"), 0.0)
    query, gallery = np.asarray(query, float), np.asarray(gallery, float)
    for one, good in zip(query, right, strict=True):
        cosine = {row: round(float(np.dot(one, gallery[row]) / np.linalg.norm(one) / np.linalg.norm(gallery[row])), 11) for row in seen}
        rows = sorted(seen, key=lambda row: (-cosine[row], row in good))
        places = [place for place, row in enumerate(rows) if row in good]
        for metric, k in ks.items():
            result[metric] += (places[0] < k) / len(query)
        result["AP"] += sum((i + 1) / (place + 1) for i, place in enumerate(places)) / len(places) / len(query)
    return result
