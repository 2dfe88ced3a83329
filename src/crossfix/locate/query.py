"""A photo made ready for matching: turned into pictures of the ground as a map would show it.

Legend: a *plane* point is (x, y) in units of the query square's side, origin at the photo's centre, x to the picture's right, y downwards.
For a photo that looks straight down (or of which nothing is known) the plane is the picture itself; for an oblique photo of known height,
pitch and field of view it is the flat ground below the camera, so that the views made from it show the ground from straight above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from crossfix.errors import InputError, PhotoError
from crossfix.geo.camera import Camera
from crossfix.geo.photo import Photo, Prior, Sourced

Matrix = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

OBLIQUE_PITCH_DEG = -80.0
MIN_DEPRESSION_DEG = 12.0
FAR_EDGE_HEIGHTS = 3.0
MIN_TEXTURE = 2.0
_TEXTURE_PX = 256


@dataclass(frozen=True)
class View:
    """A picture made from a photo, with the way back to the photo.

    Attributes:
        pixels: (H, W, 3) picture.
        valid: (H, W), False where the photo shows nothing usable.
        to_photo: 3x3 homography from view pixels to photo pixels.
        square_px: pixels along the side of the query square.
        centre_xy: the photo's centre in view pixels.
    """

    pixels: Pixels
    valid: Mask
    to_photo: Matrix
    square_px: float
    centre_xy: tuple[float, float]


@dataclass(frozen=True)
class Square:
    """A picture to retrieve with.

    Attributes:
        pixels: (px, px, 3).
        heading_deg: bearing of the plane's upper edge that makes this picture north-up.
        share: its side in units of the query square's side, at most 1 (a turned square must fit inside the picture).
    """

    pixels: Pixels
    heading_deg: float
    share: float


@dataclass(frozen=True)
class Query:
    """A photo and what its prior says about scale and direction.

    Attributes:
        photo: the photo.
        picture: its pixels, ready to be drawn at any size.
        to_photo: 3x3 homography from plane points to photo pixels.
        extent: plane limits x0, y0, x1, y1 of the usable picture.
        side_m: ground length of the query square's side, None where height or field of view is unknown.
        heading_deg: believed bearing of the plane's upper edge, None where unknown.
        steep: the photo is known to look down to within 10 degrees.
        rectified: the plane is the ground, not the picture.
    """

    photo: Photo
    picture: Reduced
    to_photo: Matrix
    extent: tuple[float, float, float, float]
    side_m: float | None
    heading_deg: float | None
    steep: bool
    rectified: bool
    _views: dict[tuple[int, int], View] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def prepare(cls, photo: Photo, prior: Prior) -> Query:
        """Chooses the plane.

        Args:
            photo: the photo to locate.
            prior: what is believed of its camera.

        Raises:
            PhotoError: the photo holds no texture to match.
            InputError: a height or field of view that no camera has.
        """
        _check_texture(photo)
        height_px, width_px = photo.pixels.shape[:2]
        height, fov = _value(prior.height_m), _value(prior.fov_deg)
        pitch, heading = _value(prior.pitch_deg), _value(prior.heading_deg)
        if height is not None and not 0.5 < height < 50_000:
            raise InputError(f"a height above ground of {height:g} m is not usable", where=photo.name, mend="give --height-m")
        if fov is not None and not 1 < fov < 175:
            raise InputError(f"a field of view of {fov:g} degrees is not usable", where=photo.name, mend="give --fov-deg")
        if pitch is not None and pitch > OBLIQUE_PITCH_DEG and height is not None and fov is not None:
            oblique = _oblique(photo, height, fov, pitch, heading)
            if oblique is not None:
                return oblique
        short = float(min(height_px, width_px))
        to_photo = np.array([[short, 0, (width_px - 1) / 2], [0, short, (height_px - 1) / 2], [0, 0, 1]])
        half_x, half_y = width_px / short / 2, height_px / short / 2
        steep = pitch is not None and pitch <= OBLIQUE_PITCH_DEG
        side = None
        if height is not None and fov is not None and (steep or pitch is None):
            side = 2 * height * math.tan(math.radians(fov) / 2) * short / width_px
        return cls(photo, Reduced(photo.pixels), to_photo, (-half_x, -half_y, half_x, half_y), side, heading, steep, rectified=False)

    def view(self, square_px: int, turned_deg: int = 0) -> View:
        """The plane drawn with `square_px` pixels a square side; kept, since several candidates ask for the same.

        Args:
            square_px: pixels along the query square's side.
            turned_deg: bearing of the plane's upper edge that is to be turned up, so that north is up if it is right.
        """
        key = (square_px, turned_deg)
        if key not in self._views:
            x0, y0, x1, y1 = self.extent
            to_plane = turn(turned_deg)
            corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ to_plane[:2, :2]
            low, high = corners.min(axis=0), corners.max(axis=0)
            size = (max(round((high[0] - low[0]) * square_px), 8), max(round((high[1] - low[1]) * square_px), 8))
            step = 1 / square_px
            to_plane = to_plane @ np.array([[step, 0, low[0] + step / 2], [0, step, low[1] + step / 2], [0, 0, 1]])
            to_photo = self.to_photo @ to_plane
            pixels, valid = self.picture.warp(to_photo, size)
            centre = (-low[0] * square_px - 0.5, -low[1] * square_px - 0.5)
            self._views[key] = View(pixels, valid, to_photo, float(square_px), (float(centre[0]), float(centre[1])))
        return self._views[key]

    def squares(self, px: int, headings: list[float]) -> list[Square]:
        """North-up pictures of the query square, one for each supposed bearing of the plane's upper edge.

        Args:
            px: pixels of their sides.
            headings: supposed bearings, degrees.
        """
        made = []
        for heading in headings:
            share = self._inscribed(heading)
            step = share / px
            offset = -share / 2 + step / 2
            to_plane = turn(heading) @ np.array([[step, 0, offset], [0, step, offset], [0, 0, 1]])
            pixels, _ = self.picture.warp(self.to_photo @ to_plane, (px, px))
            made.append(Square(pixels, heading, share))
        return made

    def _inscribed(self, heading_deg: float) -> float:
        """Side of the largest square turned by `heading_deg` inside the plane's extent, at most 1."""
        x0, y0, x1, y1 = self.extent
        half = min(-x0, x1), min(-y0, y1)
        c, s = abs(math.cos(math.radians(heading_deg))), abs(math.sin(math.radians(heading_deg)))
        return min(1.0, 2 * min(half) / (c + s))


def turn(heading_deg: float) -> Matrix:
    """3x3 matrix from north-up coordinates to those whose upper edge has the bearing `heading_deg` (x right, y down in both)."""
    c, s = math.cos(math.radians(heading_deg)), math.sin(math.radians(heading_deg))
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


class Reduced:
    """A picture and its reductions by powers of the square root of two, made when first needed.

    Args:
        pixels: (H, W, 3).
    """

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels
        self._levels: dict[int, Pixels] = {0: pixels}

    def level(self, reduction: float) -> tuple[Pixels, Matrix]:
        """The picture reduced by at most `reduction`, and the 3x3 matrix from its pixels to those of the whole."""
        number = max(0, math.floor(2 * math.log2(max(reduction, 1.0))))
        height, width = self.pixels.shape[:2]
        if number not in self._levels:
            small = (max(round(width / 2 ** (number / 2)), 1), max(round(height / 2 ** (number / 2)), 1))
            self._levels[number] = np.asarray(cv2.resize(self.pixels, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        pixels = self._levels[number]
        fx, fy = width / pixels.shape[1], height / pixels.shape[0]
        # cv2.resize aligns the outer edges of the corner pixels, so centres shift by half a pixel of each grid.
        return pixels, np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1]])

    def warp(self, to_source: Matrix, size: tuple[int, int]) -> tuple[Pixels, Mask]:
        """Draws the picture through a homography, averaging where it reduces.

        Args:
            to_source: 3x3, target pixel (x, y, 1) to pixel of the whole picture.
            size: width and height of the target.

        Returns:
            The target and where it lies inside the picture.
        """
        columns, rows = size
        pixels, to_whole = self.level(_pixel_scale(to_source, size))
        m = np.linalg.inv(to_whole) @ to_source
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        out = cv2.warpPerspective(pixels, m, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        x, y = np.arange(columns)[None, :], np.arange(rows)[:, None]
        w = m[2, 0] * x + m[2, 1] * y + m[2, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            u, v = (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / w, (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / w
        valid = (w > 0) & (u >= -0.5) & (v >= -0.5) & (u <= pixels.shape[1] - 0.5) & (v <= pixels.shape[0] - 0.5)
        return np.asarray(out, dtype=np.uint8), valid


def transform(matrix: Matrix, points: npt.ArrayLike) -> Matrix:
    """Applies a 3x3 homography to (N, 2) points."""
    points_n2 = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    mapped = np.column_stack([points_n2, np.ones(len(points_n2))]) @ matrix.T
    return mapped[:, :2] / mapped[:, 2:]


def _value(sourced: Sourced | None) -> float | None:
    return None if sourced is None else float(sourced.value)


def _pixel_scale(to_source: Matrix, size: tuple[int, int]) -> float:
    """Source pixels a target pixel at the target's middle (geometric mean of both directions)."""
    x, y = (size[0] - 1) / 2, (size[1] - 1) / 2
    a, b, c = transform(to_source, [(x, y), (x + 1, y), (x, y + 1)])
    (ux, uy), (vx, vy) = b - a, c - a
    return math.sqrt(abs(ux * vy - uy * vx))


def _check_texture(photo: Photo) -> None:
    height, width = photo.pixels.shape[:2]
    if min(height, width) < 32:
        raise PhotoError(f"the photo has only {width} x {height} pixels", where=photo.name, mend="give at least 32 x 32 pixels")
    shrink = min(1.0, _TEXTURE_PX / max(height, width))
    grey = cv2.cvtColor(cv2.resize(photo.pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    detail = grey.astype(np.float32) - cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 8)
    if float(np.std(detail)) < MIN_TEXTURE:
        raise PhotoError("the photo shows no texture that could be matched", where=photo.name, mend="give a photo of the ground")


def _oblique(photo: Photo, height_m: float, fov_deg: float, pitch_deg: float, heading_deg: float | None) -> Query | None:
    """The ground plane of an oblique photo, or None where its centre looks too near the horizon."""
    height_px, width_px = photo.pixels.shape[:2]
    if pitch_deg > -MIN_DEPRESSION_DEG:
        return None
    camera = Camera(
        east_m=0.0, north_m=0.0, up_m=height_m, heading_deg=0.0, pitch_deg=pitch_deg, fov_deg=fov_deg, width=width_px, height=height_px
    )
    to_ground = np.asarray(camera.ground_homography(), dtype=np.float64)
    focal = width_px / 2 / math.tan(math.radians(fov_deg) / 2)
    half_fov = math.degrees(math.atan(height_px / 2 / focal))
    steepest = min(-pitch_deg + half_fov, 180 - MIN_DEPRESSION_DEG)
    flattest = max(-pitch_deg - half_fov, MIN_DEPRESSION_DEG)
    near, far = height_m / math.tan(math.radians(steepest)), height_m / math.tan(math.radians(flattest))
    centre = height_m / math.tan(math.radians(-pitch_deg))
    half_width = height_m / math.sin(math.radians(-pitch_deg)) * math.tan(math.radians(fov_deg) / 2)
    side = 2 * min(centre - near, half_width, FAR_EDGE_HEIGHTS * height_m / 2)
    far = min(far, centre + FAR_EDGE_HEIGHTS * height_m / 2)
    near = max(near, centre - FAR_EDGE_HEIGHTS * height_m / 2)
    across = min(half_width * 1.5, FAR_EDGE_HEIGHTS * height_m / 2)
    # Plane to ground with the camera looking north: x is east, y is south of the photo's centre.
    plane_to_ground = np.array([[side, 0, 0], [0, -side, centre], [0, 0, 1]])
    to_photo = np.linalg.inv(to_ground) @ plane_to_ground
    to_photo /= to_photo[2, 2]
    extent = (-across / side, -(far - centre) / side, across / side, (centre - near) / side)
    return Query(photo, Reduced(photo.pixels), to_photo, extent, side, heading_deg, steep=False, rectified=True)
