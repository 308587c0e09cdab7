// A forecast in words. Dates without a time of day: they are not that exact.
import { say, type Sentence } from '../../errors.ts';
import type { Forecast } from '../../model/forecast.ts';

const date = (at: number): string => new Date(at).toISOString().slice(0, 10);

export function forecastWords(forecast: Forecast): Sentence {
  switch (forecast.kind) {
    case 'not-enough': return say('forecast.says.not-enough', { days: forecast.days, needed: forecast.needed });
    case 'full': return say('forecast.says.full');
    case 'not-growing': return forecast.earliest === null ? say('forecast.says.not-growing') : say('forecast.says.not-growing-perhaps', { earliest: date(forecast.earliest) });
    case 'far': return forecast.earliest === null ? say('forecast.says.far') : say('forecast.says.far-perhaps', { earliest: date(forecast.earliest) });
    case 'runs-out': {
      const [at, earliest] = [date(forecast.at), date(forecast.earliest)];
      if (forecast.latest !== null && date(forecast.latest) === earliest) return say('forecast.says.runs-out-exact', { at });
      return forecast.latest === null ? say('forecast.says.runs-out-open', { at, earliest }) : say('forecast.says.runs-out', { at, earliest, latest: date(forecast.latest) });
    }
  }
}

const dayMs = 86_400_000;

/** How much an administrator should mind, for the colour beside the words. */
export function urgencyOf(forecast: Forecast, now: number): 'danger' | 'warning' | 'calm' | 'unknown' {
  if (forecast.kind === 'full') return 'danger';
  if (forecast.kind === 'not-enough') return 'unknown';
  if (forecast.kind !== 'runs-out') return 'calm';
  return forecast.earliest < now + 14 * dayMs ? 'danger' : forecast.at < now + 90 * dayMs ? 'warning' : 'calm';
}
