use proptest::prelude::*;

use super::*;

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

#[test]
fn numbers_are_read_as_json_writes_them_and_shown_in_one_form() {
    for (text, shown) in [
        ("0", "0"),
        ("0.00", "0"),
        ("0e99", "0"),
        ("49.99", "49.99"),
        ("49.90", "49.9"),
        ("50.00", "50"),
        ("100", "100"),
        ("1e-3", "0.001"),
        ("1.5E+3", "1500"),
        ("12.345e1", "123.45"),
        ("0.1", "0.1"),
        ("0.000000000000000001", "0.000000000000000001"),
        ("999999999999999999999999999999", "999999999999999999999999999999"),
        ("1e29", "100000000000000000000000000000"),
        ("1.00000000000000000000000000000000000", "1"),
        ("9007199254740993.01", "9007199254740993.01"),
    ] {
        assert_eq!(decimal(text).to_string(), shown, "{text}");
    }
}

#[test]
fn what_is_no_amount_is_refused() {
    for text in ["", ".5", "5.", "1e", "e5", "+1", "01", "00", "1,5", " 1", "1 ", "NaN", "Infinity", "0x10"] {
        assert_eq!(Decimal::parse(text), Err(BadDecimal::NotANumber), "{text}");
    }
    for text in ["1_000", "1.2.3", "1e5e5", "١", "--1", "-", "null", "true"] {
        assert_eq!(Decimal::parse(text), Err(BadDecimal::NotANumber), "{text}");
    }
    for text in ["-1", "-0", "-0.01", "-1e-3"] {
        assert_eq!(Decimal::parse(text), Err(BadDecimal::Negative), "{text}");
    }
    let long = "1".repeat(31);
    for text in ["1e30", "1e-19", "1e99999999999999999999", "0.1234567890123456789", &long, &"0".repeat(100)]
    {
        assert_eq!(Decimal::parse(text), Err(BadDecimal::TooLong), "{text}");
    }
}

#[test]
fn json_keeps_every_digit() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Order {
        amount: Decimal,
        list: Vec<Decimal>,
    }
    // Neither of the long ones is a float's value.
    let text = r#"{"amount":49.99,"list":[0.1,9007199254740993.01,0.000000000000000001,100]}"#;
    let order: Order = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&order).unwrap(), text);
    let quoted: Decimal = serde_json::from_str(r#""49.99""#).unwrap();
    assert_eq!(quoted, decimal("49.99"));
    for bad in ["-1", "\"1,5\"", "[1]", "{}", "true", "\"\"", "\" 1\""] {
        assert!(serde_json::from_str::<Decimal>(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_field_is_read_from_the_text_of_its_body() {
    let read = |body: &str| field(body.as_bytes(), "amount");
    assert_eq!(
        read(r#"{"amount": 9007199254740993.01 , "x": [1]}"#),
        Ok(Some(decimal("9007199254740993.01")))
    );
    assert_eq!(read(r#"{"amount":"49.99"}"#), Ok(Some(decimal("49.99"))));
    assert_eq!(read(r#"{"amo\u0075nt":1}"#), Ok(Some(decimal("1"))));
    assert_eq!(read(r#"{"amount":1,"amount":2}"#), Ok(Some(decimal("2"))));
    assert_eq!(read(r#"{"amount":null}"#), Ok(None));
    assert_eq!(read(r#"{"other":{"amount":1}}"#), Ok(None));
    assert_eq!(read("[1]"), Ok(None));
    assert_eq!(read(r#"{"amount":-1}"#), Err(BadDecimal::Negative));
    for body in [r#"{"amount":[1]}"#, r#"{"amount":true}"#, r#"{"amount":"1 USD"}"#] {
        assert_eq!(read(body), Err(BadDecimal::NotANumber), "{body}");
    }
}

#[test]
fn places_are_those_of_the_value() {
    assert_eq!(decimal("49.990").places(), 2);
    assert_eq!(decimal("50.00").places(), 0);
    assert_eq!(decimal("1e-8").places(), 8);
    assert_eq!(decimal("1.2399").floor_to(2), decimal("1.23"));
    assert_eq!(decimal("1.2").floor_to(2), decimal("1.2"));
    assert_eq!(decimal("0.009").floor_to(2), Decimal::ZERO);
    assert_eq!(decimal("1.25").in_units(2), Some(125));
    assert_eq!(decimal("1.25").in_units(1), None);
}

#[test]
fn sqlite_gives_back_what_it_took() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    let given = decimal("9007199254740993.01");
    let back = connection.query_row("SELECT ?1", [given], |row| row.get::<_, Decimal>(0)).unwrap();
    assert_eq!(back, given);
}

proptest! {
    #[test]
    fn text_and_number_are_one(digits in 0..DIGITS_END, places in 0..=MAX_PLACES) {
        let number = Decimal::new(digits, places).unwrap();
        prop_assert_eq!(Decimal::parse(&number.to_string()), Ok(number));
        prop_assert_eq!(serde_json::to_string(&number).unwrap(), number.to_string());
        prop_assert_eq!(Decimal::parse(&format!("{digits}e-{places}")), Ok(number));
    }

    #[test]
    fn order_is_that_of_the_numbers(a in 0..10_u128.pow(18), b in 0..10_u128.pow(18), p in 0..=18_u32, q in 0..=18_u32) {
        let (left, right) = (Decimal::new(a, p).unwrap(), Decimal::new(b, q).unwrap());
        prop_assert_eq!(left.cmp(&right), (a * 10_u128.pow(18 - p)).cmp(&(b * 10_u128.pow(18 - q))));
        prop_assert_eq!(left == right, left.cmp(&right) == Ordering::Equal);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-+0-9.eE\"]{0,90}") {
        let _ = Decimal::parse(&text);
        let _ = Decimal::from_json(&text);
    }
}
