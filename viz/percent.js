// A share of 1 as a percentage, as in percent.py.
function percent(share, decimals = 1) {
  if (share === 0) return "0 %";
  const least = 10 ** -decimals;
  return 100 * Math.abs(share) >= least ? `${(100 * share).toFixed(decimals)} %` : `< ${least.toFixed(decimals)} %`;
}

