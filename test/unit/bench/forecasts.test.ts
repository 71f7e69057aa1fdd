import assert from 'node:assert/strict';
import { calibrate, calibrationOf, forecastCells, type Forecast } from '../../../bench/canary/forecasts.ts';

const forecast = (part: Partial<Forecast>): Forecast => ({
  minutes: 5,
  low: 100,
  own: 200,
  high: 400,
  taken: 200,
  ...part,
});

describe('the calibration of forecasts', () => {
  it('counts forecasts within the range, too high and too low ones, and open windows as too low', () => {
    const forecasts = [
      ...[100, 200, 400].map((taken) => forecast({ taken })),
      forecast({ taken: 99 }),
      forecast({ taken: 401 }),
      forecast({ taken: null }),
      forecast({ taken: null, high: null }),
      forecast({ taken: 1, low: null, own: null, high: null }),
      forecast({ minutes: 3, taken: 1 }),
    ];
    const said = calibrationOf(forecasts, 5);
    assert.deepEqual([said?.asked, said?.within, said?.sooner], [8, 4 / 8, 2 / 8]);
    assert.deepEqual(said?.ratios, [0.495, 1, 2.005]);
  });

  it('leaves out minutes without forecasts', () => assert.equal(calibrationOf([forecast({})], 10), undefined));

  it('is right for a candidate that fails as soon as a cold one may', () => {
    const cells = forecastCells();
    const number = cells.findIndex(
      ({ scenario, requestsPerMinute }) => scenario.name === 'slower1.5' && requestsPerMinute === 1000,
    );
    const cell = cells[number];
    assert.ok(cell !== undefined);
    const [after3] = calibrate(cell, { runs: 10, seed: 1, number });
    assert.ok(
      after3 !== undefined && after3.minutes === 3 && after3.asked === 10 && after3.within >= 0.9,
      JSON.stringify(after3),
    );
  });
});
