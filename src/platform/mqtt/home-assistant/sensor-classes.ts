/** What Home Assistant is told of a number beyond its value. */
export interface SensorClass {
  readonly device_class?: string;
  readonly unit_of_measurement?: string;
  readonly state_class: "measurement" | "total_increasing";
}

type Row = readonly [words: readonly string[], deviceClass: string, unit: string];

/** Words in names, and the class and unit that they suggest; units that a name spells out come first. */
const UNITS: readonly Row[] = [
  [["fahrenheit"], "temperature", "°F"],
  [["kelvin"], "temperature", "K"],
  [["celsius"], "temperature", "°C"],
  [["millivolts", "mv"], "voltage", "mV"],
  [["milliamps", "ma"], "current", "mA"],
  [["kw", "kilowatts"], "power", "kW"],
  [["kpa"], "pressure", "kPa"],
  [["pa", "pascal"], "pressure", "Pa"],
  [["hpa", "mbar"], "pressure", "hPa"],
  [["wh"], "energy", "Wh"],
  [["kwh"], "energy", "kWh"],
  [["dbm", "rssi"], "signal_strength", "dBm"],
];

const QUANTITIES: readonly Row[] = [
  [["temperature", "temp"], "temperature", "°C"],
  [["humidity", "hum", "rh"], "humidity", "%"],
  [["battery", "soc"], "battery", "%"],
  [["voltage", "volts", "volt"], "voltage", "V"],
  [["current", "amperes", "amps"], "current", "A"],
  [["power", "watts", "watt"], "power", "W"],
  [["energy"], "energy", "kWh"],
  [["pressure"], "pressure", "hPa"],
  [["illuminance", "lux"], "illuminance", "lx"],
  [["co2"], "carbon_dioxide", "ppm"],
  [["pm25"], "pm25", "µg/m³"],
  [["pm10"], "pm10", "µg/m³"],
  [["frequency", "hz"], "frequency", "Hz"],
];

/**
 * Guesses from a name what it measures: whole words only, `batteryVolts` and `battery_volts` alike. The last
 * word that says something counts, so that battery volts are a voltage.
 */
export function guessClass(name: string): SensorClass {
  const words = name
    .replace(/([a-z0-9]{2})([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .reverse();
  for (const table of [UNITS, QUANTITIES])
    for (const word of words)
      for (const [names, deviceClass, unit] of table)
        if (names.includes(word))
          return {
            device_class: deviceClass,
            unit_of_measurement: unit,
            // Energy only adds up; Home Assistant's energy panel wants it said.
            state_class: deviceClass === "energy" ? "total_increasing" : "measurement",
          };
  return words.includes("percent")
    ? { unit_of_measurement: "%", state_class: "measurement" }
    : { state_class: "measurement" };
}
