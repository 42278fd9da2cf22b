//! States and provinces that addresses are written with in full, and their codes.

/// Of which country, name, code.
const NAMES: &[(&str, &[(&str, &str)])] = &[("US", UNITED_STATES), ("CA", CANADA), ("AU", AUSTRALIA)];

const UNITED_STATES: &[(&str, &str)] = &[
    ("ALABAMA", "AL"),
    ("ALASKA", "AK"),
    ("ARIZONA", "AZ"),
    ("ARKANSAS", "AR"),
    ("CALIFORNIA", "CA"),
    ("COLORADO", "CO"),
    ("CONNECTICUT", "CT"),
    ("DELAWARE", "DE"),
    ("DISTRICT OF COLUMBIA", "DC"),
    ("WASHINGTON DC", "DC"),
    ("FLORIDA", "FL"),
    ("GEORGIA", "GA"),
    ("HAWAII", "HI"),
    ("IDAHO", "ID"),
    ("ILLINOIS", "IL"),
    ("INDIANA", "IN"),
    ("IOWA", "IA"),
    ("KANSAS", "KS"),
    ("KENTUCKY", "KY"),
    ("LOUISIANA", "LA"),
    ("MAINE", "ME"),
    ("MARYLAND", "MD"),
    ("MASSACHUSETTS", "MA"),
    ("MICHIGAN", "MI"),
    ("MINNESOTA", "MN"),
    ("MISSISSIPPI", "MS"),
    ("MISSOURI", "MO"),
    ("MONTANA", "MT"),
    ("NEBRASKA", "NE"),
    ("NEVADA", "NV"),
    ("NEW HAMPSHIRE", "NH"),
    ("NEW JERSEY", "NJ"),
    ("NEW MEXICO", "NM"),
    ("NEW YORK", "NY"),
    ("NORTH CAROLINA", "NC"),
    ("NORTH DAKOTA", "ND"),
    ("OHIO", "OH"),
    ("OKLAHOMA", "OK"),
    ("OREGON", "OR"),
    ("PENNSYLVANIA", "PA"),
    ("PUERTO RICO", "PR"),
    ("RHODE ISLAND", "RI"),
    ("SOUTH CAROLINA", "SC"),
    ("SOUTH DAKOTA", "SD"),
    ("TENNESSEE", "TN"),
    ("TEXAS", "TX"),
    ("UTAH", "UT"),
    ("VERMONT", "VT"),
    ("VIRGINIA", "VA"),
    ("WASHINGTON", "WA"),
    ("WEST VIRGINIA", "WV"),
    ("WISCONSIN", "WI"),
    ("WYOMING", "WY"),
    ("AMERICAN SAMOA", "AS"),
    ("GUAM", "GU"),
    ("NORTHERN MARIANA ISLANDS", "MP"),
    ("VIRGIN ISLANDS", "VI"),
    ("ARMED FORCES AMERICAS", "AA"),
    ("ARMED FORCES EUROPE", "AE"),
    ("ARMED FORCES PACIFIC", "AP"),
];

const CANADA: &[(&str, &str)] = &[
    ("ALBERTA", "AB"),
    ("BRITISH COLUMBIA", "BC"),
    ("MANITOBA", "MB"),
    ("NEW BRUNSWICK", "NB"),
    ("NEWFOUNDLAND AND LABRADOR", "NL"),
    ("NORTHWEST TERRITORIES", "NT"),
    ("NOVA SCOTIA", "NS"),
    ("NUNAVUT", "NU"),
    ("ONTARIO", "ON"),
    ("PRINCE EDWARD ISLAND", "PE"),
    ("QUEBEC", "QC"),
    ("QUÉBEC", "QC"),
    ("SASKATCHEWAN", "SK"),
    ("YUKON", "YT"),
];

const AUSTRALIA: &[(&str, &str)] = &[
    ("AUSTRALIAN CAPITAL TERRITORY", "ACT"),
    ("NEW SOUTH WALES", "NSW"),
    ("NORTHERN TERRITORY", "NT"),
    ("QUEENSLAND", "QLD"),
    ("SOUTH AUSTRALIA", "SA"),
    ("TASMANIA", "TAS"),
    ("VICTORIA", "VIC"),
    ("WESTERN AUSTRALIA", "WA"),
];

/// The codes of a country's states; none of a country that is not listed here.
pub(super) fn codes(country: &str) -> impl Iterator<Item = &'static str> {
    let names = NAMES.iter().find(|(code, _)| *code == country).map_or(&[][..], |(_, names)| *names);
    names.iter().map(|(_, code)| *code)
}

/// Characters of a code.
const LONGEST: usize = 10;

/// A state's code from its code or its name; empty for what is neither.
pub(super) fn code(country: &str, text: &str) -> String {
    let text = text.trim().to_uppercase().replace('.', "");
    let of_country = NAMES.iter().find(|(code, _)| *code == country).map(|(_, names)| *names);
    let named = of_country.and_then(|names| names.iter().find(|(name, _)| *name == text));
    if let Some((_, code)) = named {
        return (*code).to_owned();
    }
    let is_code = text.chars().count() <= LONGEST && text.chars().all(char::is_alphanumeric);
    if is_code { text } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_one() {
        for text in ["CA", "ca", " California ", "CALIFORNIA"] {
            assert_eq!(code("US", text), "CA", "{text}");
        }
        assert_eq!(code("US", "Washington D.C."), "DC");
        assert_eq!(code("AU", "Western Australia"), "WA");
        assert_eq!(code("CA", "Québec"), "QC");
        assert_eq!(code("DE", "Bayern"), "BAYERN");
        assert_eq!(code("DE", "Mecklenburg-Vorpommern"), "");
    }
}
