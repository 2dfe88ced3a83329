"""Views of 256 x 256 pixels a CPU second, one ray a pixel, sun shadows and sensor included; scene building apart.

python benchmarks/render_speed.py
"""

from __future__ import annotations

import time

import cv2

from crossfix.geo.camera import Camera
from crossfix.worlds import REGIONS, Epoch, World
from crossfix.worlds.sensor import Sensor

VIEWS = 12


def main() -> None:
    cv2.setNumThreads(1)
    print("| region | world of 600 m, CPU s | a day's scene, CPU s | views a CPU second: map | drone, nadir | drone, oblique |")
    print("|---|---|---|---|---|---|")
    for name in REGIONS:
        start = time.process_time()
        world = World(name, 1, 600, texel_m=0.5)
        _ = world.layout
        laid = time.process_time()
        scene = world.scene(Epoch.draw(1))
        scene.ortho(0, 0, 100, 16)  # the tracer's tree is built at the first ray
        built = time.process_time()
        rates = []
        for pitch in (None, -88.0, -55.0):
            begin = time.process_time()
            for i in range(VIEWS):
                if pitch is None:
                    scene.ortho(10.0 * i - 60, 0, 200, 256, samples=1, sensor=Sensor.draw(i))
                else:
                    scene.perspective(Camera(10.0 * i - 60, 0, 140, 30.0 * i, pitch, 70, 256, 256), samples=1, sensor=Sensor.draw(i))
            rates.append(VIEWS / (time.process_time() - begin))
        print(f"| {name} | {laid - start:.2f} | {built - laid:.2f} | {' | '.join(f'{rate:.1f}' for rate in rates)} |", flush=True)


if __name__ == "__main__":
    main()
