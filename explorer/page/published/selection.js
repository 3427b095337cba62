// Chooses networks of a published study as explorer/generators/selection.py does. Knows nothing of the page.
"use strict";

const Selection = (() => {
  // largest cost / limit over the limited devices: at most 1 where the limits are met, 0 without limits
  function overshoot(costs, limits) {
    let most = 0;
    for (let j = 0; j < limits.length; j++) {
      if (limits[j] !== null) most = Math.max(most, costs[j] / limits[j]);
    }
    return most;
  }

  const meets = (costs, limits) => limits.every((limit, j) => limit === null || costs[j] <= limit);

  function nearest(view, limits) {
    let best = 0, least = Infinity;
    for (let i = 0; i < view.keys.length; i++) {
      const over = overshoot(view.costs[i], limits);
      if (over < least) [best, least] = [i, over];
    }
    return best;
  }

  // limits: one number or null per device; gives {row, feasible}
  function select(view, limits) {
    for (let i = 0; i < view.pool; i++) if (meets(view.costs[i], limits)) return {row: i, feasible: true};
    const row = nearest(view, limits);
    return {row, feasible: meets(view.costs[row], limits)};
  }

  // the cheapest network on a device (its column) that is accurate enough within the limits
  function cheapest(view, accuracy, column, limits) {
    let best = -1;
    for (let i = 0; i < view.pool && view.accuracy[i] >= accuracy; i++) {
      if (meets(view.costs[i], limits) && (best < 0 || view.costs[i][column] < view.costs[best][column])) best = i;
    }
    if (best >= 0) return {row: best, feasible: true};
    const found = select(view, limits);
    return {row: found.row, feasible: found.feasible && view.accuracy[found.row] >= accuracy};
  }

  // {device: number} -> one number or null per device
  function limitsOf(view, budget) {
    const names = view.devices.map(device => device.name);
    for (const [name, value] of Object.entries(budget)) {
      if (!names.includes(name)) throw new Error(`unknown target '${name}'; choose from: ${names.join(", ")}`);
      if (typeof value !== "number" || !(value > 0) || !isFinite(value)) {
        throw new Error(`budget ${name} = ${value}; expected a number of ${view.devices[names.indexOf(name)].unit} above 0`);
      }
    }
    return names.map(name => (Object.hasOwn(budget, name) ? budget[name] : null));
  }

  function answer(view, found) {
    const row = found.row;
    const costs = Object.fromEntries(view.devices.map((device, j) => [device.name, view.costs[row][j]]));
    return {
      architecture: view.keys[row], accuracy: view.accuracy[row], interval: [view.lo[row], view.hi[row]], costs,
      feasible: found.feasible, row,
    };
  }

  return {
    generate: (view, budget) => answer(view, select(view, limitsOf(view, budget))),
    cheapest(view, accuracy, device, budget) {
      const column = view.devices.findIndex(known => known.name === device);
      if (column < 0) limitsOf(view, {[device]: 1});
      if (!(accuracy >= 0 && accuracy <= 1)) throw new Error(`accuracy = ${accuracy}; expected a share from 0 to 1, such as 0.93`);
      return answer(view, cheapest(view, accuracy, column, limitsOf(view, budget)));
    },
  };
})();
