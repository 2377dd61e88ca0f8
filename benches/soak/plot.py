"""A picture of a run: each measure over time, one below the other, as SVG."""

WIDTH, HEIGHT, LEFT, TOP, GAP = 900, 110, 90, 50, 34
# What is shown: the key of a sample, and its name with the unit.
MEASURES = [("memory_mb", "memory, MB (PSS)"), ("files", "open files"), ("ports_free", "free port pairs"), ("calls", "calls"),
            ("cpu", "CPU, % of one")]


def picture(path, samples, title):
    samples = [dict(each) for each in samples]
    for one, next_one in zip(samples, samples[1:]):
        span = next_one["seconds"] - one["seconds"]
        next_one["cpu"] = 100 * (next_one["cpu_seconds"] - one["cpu_seconds"]) / span if span else 0
    samples[0]["cpu"] = 0
    height = TOP + len(MEASURES) * (HEIGHT + GAP) + 10
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 30}" height="{height}" font-family="sans-serif" font-size="13">'
             f'<rect width="100%" height="100%" fill="white"/><text x="{LEFT}" y="28" font-size="16">{title}</text>']
    last = samples[-1]["seconds"]
    for n, (key, name) in enumerate(MEASURES):
        top, values = TOP + n * (HEIGHT + GAP), [each[key] for each in samples]
        most = max(max(values), 1) * 1.1
        points = " ".join(f"{LEFT + WIDTH * each['seconds'] / last:.1f},{top + HEIGHT * (1 - each[key] / most):.1f}" for each in samples)
        parts.append(f'<text x="{LEFT}" y="{top - 5}">{name}</text>'
                     f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#bbb"/>'
                     f'<text x="{LEFT - 6}" y="{top + 12}" text-anchor="end">{most:.0f}</text>'
                     f'<text x="{LEFT - 6}" y="{top + HEIGHT}" text-anchor="end">0</text>'
                     f'<polyline points="{points}" fill="none" stroke="#06c" stroke-width="1.3"/>')
    parts.append(f'<text x="{LEFT + WIDTH}" y="{height - 12}" text-anchor="end">{last / 60:.1f} minutes</text></svg>')
    with open(path, "w") as file:
        file.write("\n".join(parts))
