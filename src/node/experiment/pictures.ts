/** Renders a Vega-Lite specification, without a browser and with a bundled font. */
import { createRequire } from 'node:module';
import { P2mpError } from '../../base/errors.js';
import { plotFont } from '../../experiment/plot.js';

/** PNG pixels per SVG unit, enough for sharp print at page width. */
const scale = 2;

/** @throws P2mpError RUN_FAILED if the optional packages are not installed */
export async function renderSvg(specification: object): Promise<string> {
  const { compile } = await load(() => import('vega-lite'), 'vega-lite');
  const vega = await load(() => import('vega'), 'vega');
  const { spec } = compile(specification as Parameters<typeof compile>[0]);
  const view = new vega.View(vega.parse(spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** @throws P2mpError RUN_FAILED as above */
export async function renderPng(svg: string): Promise<Uint8Array> {
  const { Resvg } = await load(() => import('@resvg/resvg-js'), '@resvg/resvg-js');
  // Use no fonts of this machine, so that the picture is the same on every machine.
  const fontFiles = [findFont('400Regular/SourceSans3_400Regular.ttf')];
  const font = { loadSystemFonts: false, fontFiles, defaultFontFamily: plotFont };
  return new Resvg(svg, { font, fitTo: { mode: 'zoom', value: scale } }).render().asPng();
}

function findFont(file: string): string {
  const name = '@expo-google-fonts/source-sans-3';
  try {
    return createRequire(import.meta.url).resolve(`${name}/${file}`);
  } catch (error) {
    throw missing(name, error);
  }
}

async function load<T>(importPackage: () => Promise<T>, name: string): Promise<T> {
  try {
    return await importPackage();
  } catch (error) {
    throw missing(name, error);
  }
}

function missing(name: string, cause: unknown): P2mpError {
  const message = `pictures need the optional package ${name}; install p2mp without --omit=optional`;
  return new P2mpError('RUN_FAILED', message, { cause });
}
